package race

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// population draws the losses of arms on n sequences: a common part that dwarfs the differences, and each arm's mean and spread.
func population(rng *rand.Rand, n int, mean, sd []float64) [][]float64 {
	x := make([][]float64, len(mean))
	for s := range n {
		common := 2 + rng.NormFloat64()
		for a := range mean {
			if s == 0 {
				x[a] = make([]float64, n)
			}
			x[a][s] = common + mean[a] + sd[a]*rng.NormFloat64()
		}
	}
	return x
}

// table samples from x, and counts.
func table(x [][]float64, cost *int) Sampler {
	return func(arms []int, from, to int) ([][]float64, error) {
		var out [][]float64
		for _, a := range arms {
			out = append(out, x[a][from:to])
			*cost += to - from
		}
		return out, nil
	}
}

func wholeMean(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v / float64(len(x))
	}
	return s
}

// 10,000 races on arms of known means and spreads: the winner is worse than the best of the whole set by more than the tolerance
// in at most the share that the confidence leaves.
func TestRaceIsWrongAtMostAsOftenAsStated(t *testing.T) {
	t.Parallel()
	const n, runs = 64, 10000
	for _, c := range []struct {
		name     string
		mean, sd []float64
		rule     Rule
		cost     float64 // most of what evaluating everything costs
	}{
		{"spread out", []float64{0, .01, .02, .03, .05, .08, .1, .3}, flat(.02, 8), Rule{Confidence: .95}, .6},
		{"all alike", flat(0, 8), flat(.02, 8), Rule{Confidence: .95}, 1},
		{"all alike, with tolerance", flat(0, 8), flat(.02, 8), Rule{Confidence: .95, Tolerance: .005}, .95},
		{"best against many", []float64{0, .004, .004, .004, .004, .004, .004, .004, .004, .004}, flat(.01, 10), Rule{Confidence: .9}, .9},
		{"uneven spreads", []float64{0, .01, .01, .02, .02, .1, .2, .4}, []float64{.1, .02, .02, .01, .02, .05, .1, .2}, Rule{Confidence: .95}, .9},
		{"two arms", []float64{0, .01}, flat(.02, 2), Rule{Confidence: .8}, .9},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			wrong, cost := 0, 0
			for range runs {
				x := population(rng, n, c.mean, c.sd)
				r := New(c.rule, n, len(x))
				win, err := r.Run(table(x, &cost))
				if err != nil {
					t.Fatal(err)
				}
				best := math.Inf(1)
				for _, row := range x {
					best = min(best, wholeMean(row))
				}
				if wholeMean(x[win]) > best+c.rule.Tolerance+1e-12 {
					wrong++
				}
			}
			share, part := float64(wrong)/runs, float64(cost)/float64(runs*n*len(c.mean))
			t.Logf("wrong %.4f, cost %.3f", share, part)
			if share > 1-c.rule.Confidence {
				t.Errorf("wrong in %.4f of the runs, stated %.2f", share, 1-c.rule.Confidence)
			}
			if part > c.cost {
				t.Errorf("cost %.3f of evaluating everything, want at most %.2f", part, c.cost)
			}
		})
	}
}

func flat(x float64, n int) []float64 { return slices.Repeat([]float64{x}, n) }

func TestRaceOfOne(t *testing.T) {
	t.Parallel()
	cost := 0
	win, err := New(Rule{Confidence: .95}, 64, 1).Run(table([][]float64{flat(1, 64)}, &cost))
	if win != 0 || err != nil || cost != 0 {
		t.Errorf("one candidate: %d, %v, cost %d", win, err, cost)
	}
}

func TestRaceTiesGoToTheFirst(t *testing.T) {
	t.Parallel()
	for _, tolerance := range []float64{0, .001} {
		for _, n := range []int{1, 2, 3, 8, 64} {
			cost := 0
			x := [][]float64{flat(1.5, n), flat(1, n), flat(1, n), flat(1, n)}
			win, err := New(Rule{Confidence: .95, Tolerance: tolerance}, n, 4).Run(table(x, &cost))
			if win != 1 || err != nil {
				t.Errorf("n=%d tolerance=%v: %d wins, %v", n, tolerance, win, err)
			}
		}
	}
}

// Whatever the losses are, broken ones included, a winner is among the finite if there is one, and never runs past the set.
func TestRaceWithBrokenCandidates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 5, 16, 64}).Draw(t, "n")
		arms := rapid.IntRange(1, 12).Draw(t, "arms")
		loss := rapid.SampledFrom([]float64{0, 1, 1.5, 2, 2, 2, 3, math.Inf(1), math.NaN()})
		x := make([][]float64, arms)
		sound := false
		for a := range x {
			x[a] = rapid.SliceOfN(loss, n, n).Draw(t, "x")
			if rapid.Bool().Draw(t, "sound") {
				x[a] = flat(float64(a%3), n)
			}
			sound = sound || jsonnum.Finite(wholeMean(x[a]))
		}
		rule := Rule{Confidence: rapid.Float64Range(.5, .999).Draw(t, "confidence"), Finalists: rapid.IntRange(0, 3).Draw(t, "finalists")}
		cost := 0
		r := New(rule, n, arms)
		win, err := r.Run(table(x, &cost))
		if err != nil || win < 0 || win >= arms || cost > n*arms {
			t.Fatalf("winner %d of %d, cost %d, %v", win, arms, cost, err)
		}
		if sound && arms > 1 && !jsonnum.Finite(r.mean(win, len(r.x[win]))) {
			t.Fatalf("%d wins with %v", win, x[win])
		}
	})
}

// When all that are left explode on a text that those before had not seen, the ones that dropped out come back.
func TestRaceRevives(t *testing.T) {
	t.Parallel()
	cost := 0
	x := [][]float64{flat(0, 16), flat(0, 16), flat(2, 16), flat(1, 16)}
	x[0][7], x[1][7] = math.Inf(1), math.NaN()
	win, err := New(Rule{Confidence: .5}, 16, 4).Run(table(x, &cost))
	if win != 3 || err != nil || cost > 4*16 {
		t.Errorf("%d wins, %v, cost %d", win, err, cost)
	}
}

// A limit of finalists is kept, and told.
func TestRaceFinalists(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	cut := map[int]int{}
	for i := range 200 {
		n := []int{64, 60, 66, 100, 171}[i%5]
		x := population(rng, n, flat(0, 10), flat(.02, 10))
		r := New(Rule{Confidence: .999, Finalists: 2}, n, 10)
		cost := 0
		win, err := r.Run(table(x, &cost))
		if err != nil || !r.cut || !slices.Contains(r.alive, win) {
			t.Fatalf("winner %d of %v, cut %v, %v", win, r.alive, r.cut, err)
		}
		limited := r.looks[len(r.looks)-3] // from there on two
		last := r.looks[len(r.looks)-2]
		if len(r.alive) > 1 {
			last = n
		}
		if limited != 3*n/8 || cost > 10*limited+2*(last-limited) || cost < 2*last && len(r.alive) > 1 {
			t.Fatalf("%d candidates of %d left, cost %d", len(r.alive), n, cost)
		}
		cut[len(r.alive)]++
	}
	if cut[1] == 0 || cut[2] == 0 || len(cut) != 2 {
		t.Errorf("numbers of finalists: %v", cut)
	}
}

// With a limit from the start, the race halves.
func TestRaceHalves(t *testing.T) {
	t.Parallel()
	rule := Rule{Confidence: .999, Finalists: 2, Most: 5}
	if got := []int{rule.Limit(0, 4, 64), rule.Limit(1, 8, 64), rule.Limit(2, 16, 64), rule.Limit(3, 24, 64)}; !slices.Equal(got, []int{5, 3, 2, 2}) {
		t.Errorf("limits %v", got)
	}
	x := population(rand.New(rand.NewPCG(5, 6)), 64, flat(0, 10), flat(.02, 10))
	cost := 0
	r := New(rule, 64, 10)
	if _, err := r.Run(table(x, &cost)); err != nil {
		t.Fatal(err)
	}
	few := 10*4 + 5*4 + 3*8
	if ends := []int{few, few + 2*8, few + 2*8 + 2*16, few + 2*8 + 2*16 + 2*24}; !slices.Contains(ends, cost) { // with one left, at a look
		t.Errorf("cost %d, want one of %v", cost, ends)
	}
}

func TestLooks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n    int
		rule Rule
		want []int
	}{
		{64, Rule{}, []int{4, 8, 16, 32, 64}},
		{64, Rule{First: 8}, []int{8, 16, 32, 64}},
		{64, Rule{First: 4, Finalists: 2}, []int{4, 8, 16, 24, 40, 64}},
		{16, Rule{Finalists: 2}, []int{4, 6, 10, 16}},
		{60, Rule{Finalists: 2}, []int{4, 8, 22, 37, 60}},
		{171, Rule{Finalists: 2}, []int{10, 20, 40, 64, 106, 171}},
		{8, Rule{Finalists: 2}, []int{4, 8}},
		{3, Rule{}, []int{3}},
		{1, Rule{Finalists: 1}, []int{1}},
		{256, Rule{Finalists: 2}, []int{16, 32, 64, 96, 160, 256}},
	} {
		if got := c.rule.Looks(c.n); !slices.Equal(got, c.want) {
			t.Errorf("looks of %+v on %d: %v, want %v", c.rule, c.n, got, c.want)
		}
	}
}
