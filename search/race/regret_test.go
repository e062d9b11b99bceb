package race

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What a race expects its choice to have cost is what it did cost on average, against the true means, whatever the races are like: near
// arms, far ones, few sequences and many.
func TestRegretIsWhatChoicesCost(t *testing.T) {
	t.Parallel()
	const runs = 3000
	for _, c := range []struct {
		name string
		n    int
		rule Rule
		mean func(*rand.Rand) float64
	}{
		{"near", 64, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .02 * r.Float64() }},
		{"spread", 64, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .1 * r.Float64() }},
		{"few texts", 16, Rule{Confidence: .9, Tolerance: .001, Finalists: 2}, func(r *rand.Rand) float64 { return .05 * r.Float64() }},
		{"to the end", 32, Rule{Confidence: .95}, func(r *rand.Rand) float64 { return .05 * r.Float64() }},
	} {
		rng := rand.New(rand.NewPCG(3, 4))
		foreseen, real := 0.0, 0.0
		for range runs {
			mean, sd, least := make([]float64, 12), flat(.04, 12), math.Inf(1)
			for i := range mean {
				mean[i] = c.mean(rng)
				least = min(least, mean[i])
			}
			cost := 0
			r := New(c.rule, c.n, len(mean))
			best, err := r.Run(table(population(rng, c.n, mean, sd), &cost))
			if err != nil {
				t.Fatal(err)
			}
			foreseen += r.Regret(best) / runs
			real += (mean[best] - least) / runs
		}
		t.Logf("%s: foreseen %.5f, real %.5f nats a choice", c.name, foreseen, real)
		if foreseen > 1.3*real || real > 1.3*foreseen {
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
