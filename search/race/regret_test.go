package race

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What a race expects its choice to have cost is what it did cost on average, against the means of the whole set, whatever the races are like: near
// arms, far ones, few sequences and many.
func TestRegretIsWhatChoicesCost(t *testing.T) {
	t.Parallel()
	// It may be too high, since it takes the worse of two noises, but hardly too low.
	const runs, high, low = 3000, 1.7, 0.9
	for _, c := range []struct {
		name string
		n    int
		rule Rule
		mean func(*rand.Rand) float64
	}{
		{"near", 64, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .02 * r.Float64() }},
		{"spread", 64, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .1 * r.Float64() }},
		{"few texts", 16, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .05 * r.Float64() }},
		{"two thirds", 24, Rule{Confidence: .9, Finalists: 4}, func(r *rand.Rand) float64 { return .05 * r.Float64() }},
	} {
		rng := rand.New(rand.NewPCG(3, 4))
		foreseen, real := 0.0, 0.0
		for range runs {
			mean, least := make([]float64, 12), math.Inf(1)
			for i := range mean {
				mean[i] = c.mean(rng)
			}
			x := population(rng, c.n, mean, flat(.04, 12))
			for _, of := range x {
				least = min(least, wholeMean(of))
			}
			cost := 0
			r := New(c.rule, c.n, len(mean))
			best, err := r.Run(table(x, &cost))
			if err != nil {
				t.Fatal(err)
			}
			foreseen += r.Regret(best) / runs
			real += (wholeMean(x[best]) - least) / runs
		}
		t.Logf("%s: foreseen %.5f, real %.5f nats a choice", c.name, foreseen, real)
		if foreseen > high*real || foreseen < low*real {
			t.Errorf("%s: foreseen %.5f, real %.5f nats a choice", c.name, foreseen, real)
		}
	}
}

// Where nothing can be said, nothing is: one arm, one sequence, arms that explode.
func TestRegretOfLittle(t *testing.T) {
	t.Parallel()
	for name, x := range map[string][][]float64{
		"one arm": {{1, 2, 3, 4}}, "one sequence": {{1}, {2}}, "exploded": {{1, 1, 1, 1}, {math.NaN(), 1, 1, math.Inf(1)}}, "alike": {{1, 2, 3, 4}, {1, 2, 3, 4}},
	} {
		cost := 0
		r := New(Rule{Confidence: .9}, len(x[0]), len(x))
		best, err := r.Run(table(x, &cost))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Regret(best); got != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
