package paperbench

import (
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/search"
)

// blocks are the candidates of these tests.
var blocks = []string{"attn:0", "ffn:0", "attn:1", "ffn:1", "attn:2"}

// stepOf makes both sides of a step: the reference's perplexities, and how many thousandths ours are above 1.01 times that, by logarithm.
// Both choose the lowest.
func stepOf(t *testing.T, theirs, above []float64) (referenceStep, ourStep) {
	t.Helper()
	their, our := referenceStep{ppl: map[string]float64{}}, ourStep{}
	lowest := 0
	for i, name := range blocks {
		m, err := blockmask.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		their.ppl[name] = theirs[i]
		if theirs[i] < theirs[lowest] {
			lowest = i
		}
		our.Scored = append(our.Scored, search.Candidate{Mask: m, Score: theirs[i] * 1.01 * math.Exp(above[i]/1000)})
		if our.Scored[i].Score < our.Scored[our.Best].Score {
			our.Best = i
		}
	}
	their.removed = our.Scored[lowest].Mask
	return their, our
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// The noise of these steps is worked out by hand: all are 0, 1, -1, 2 and -50 thousandths apart from what they have in common, whose
// median distance from their median is 0.001, and 2 * 1.4826 * sqrt(2) times that is 0.0041934. A broken candidate does not widen it.
func TestCompare(t *testing.T) {
	t.Parallel()
	const noise = 0.0041934
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		theirs, above []float64
		margin        float64
		ours          string
		counted       bool
		behind        float64
	}{
		"a clear margin": {[]float64{12, 10, 15, 10.5, 1000}, []float64{1, 0, -1, 2, -50}, math.Log(1.05), "ffn:0", true, 0},
		"a clear margin, another choice": {
			[]float64{12, 10, 15, 10.5, 11}, []float64{1, 0, -1, 2, -150}, math.Log(1.05), "attn:2", true, math.Log(1.1),
		},
		"a margin within the noise":          {[]float64{12, 10, 15, 10.02, 1000}, []float64{1, 0, -1, 2, -50}, math.Log(1.002), "ffn:0", false, 0},
		"another choice within the noise":    {[]float64{12, 10, 1000, 10.001, 15}, []float64{1, 2, -50, -1, 0}, math.Log(1.0001), "ffn:1", false, math.Log(1.0001)},
		"a margin just beyond the noise":     {[]float64{12, 10, 15, 10.0421, 1000}, []float64{1, 0, -1, 2, -50}, math.Log(1.00421), "ffn:0", true, 0},
		"the second is broken, as all after": {[]float64{inf, 10, inf, inf, inf}, []float64{0, 0, 0, 0, 0}, inf, "ffn:0", true, 0},
	} {
		v := compare(stepOf(t, c.theirs, c.above))
		if v.ours != c.ours || v.theirs != "ffn:0" || v.same() != (c.ours == "ffn:0") || v.counted() != c.counted || !near(v.behind, c.behind) {
			t.Errorf("%s: %+v", name, v)
		}
		if v.margin != c.margin && !near(v.margin, c.margin) {
			t.Errorf("%s: margin %g, want %g", name, v.margin, c.margin)
		}
		if want := noise; !math.IsInf(c.margin, 1) && math.Abs(v.noise-want) > 1e-6 {
			t.Errorf("%s: noise %g, want %g", name, v.noise, want)
		}
		if v.apart != 0 {
			t.Errorf("%s: %d are broken on one side", name, v.apart)
		}
	}
}

// What the perplexities have to do with each other, where the order of two differs.
func TestCompareNumbers(t *testing.T) {
	t.Parallel()
	their, our := stepOf(t, []float64{12, 10, 15, 10.5, 11}, []float64{0, 0, 0, 0, 0})
	if v := compare(their, our); !near(v.median, 0.01) || !near(v.worst, 0.01) || !near(v.noise, 0) || !near(v.ranks, 1) || v.second != "ffn:1" {
		t.Errorf("1%% above throughout: %+v", v)
	}
	our.Scored[3].Score, our.Scored[4].Score = our.Scored[4].Score, our.Scored[3].Score
	// Spearman: 1 - 6 * (1 + 1) / (5 * 24)
	if v := compare(their, our); !near(v.ranks, 0.9) || !near(v.worst, 11*1.01/10.5-1) {
		t.Errorf("two change places: %+v", v)
	}
	their.ppl["attn:1"] = math.Inf(1)
	if v := compare(their, our); v.apart != 1 || !near(v.ranks, 0.8) {
		t.Errorf("broken on one side: %+v", v)
	}
	our.Scored[2].Score = math.Inf(1)
	if v := compare(their, our); v.apart != 0 {
		t.Errorf("broken on both sides: %+v", v)
	}
	their.ppl["attn:1"] = 15
	if v := compare(their, our); v.apart != 1 {
		t.Errorf("broken on our side: %+v", v)
	}
	// Nothing can be told of a model that is broken by all.
	for name := range their.ppl {
		their.ppl[name] = math.Inf(1)
	}
	if v := compare(their, our); v.counted() || v.apart != 4 || !math.IsNaN(v.median) || !math.IsNaN(v.worst) || !math.IsNaN(v.ranks) {
		t.Errorf("all broken: %+v", v)
	}
}

// The last block has none that it is chosen over: that is no agreement.
func TestOneCandidate(t *testing.T) {
	t.Parallel()
	their, our := stepOf(t, []float64{10, 11, 12, 13, 14}, []float64{0, 0, 0, 0, 0})
	our.Scored = our.Scored[:1]
	their.ppl = map[string]float64{"attn:0": 10}
	if v := compare(their, our); v.counted() || !v.same() {
		t.Errorf("%+v", v)
	}
}

func TestRanks(t *testing.T) {
	t.Parallel()
	if got := ranks([]float64{3, 1, 3, 2}); !slices.Equal(got, []float64{2.5, 0, 2.5, 1}) {
		t.Errorf("%v", got)
	}
}

// Only steps beyond the noise count, and CPU seconds are of all steps.
func TestTotal(t *testing.T) {
	t.Parallel()
	var sum total
	for _, v := range []verdict{
		{theirs: "attn:0", ours: "attn:0", margin: 0.2, noise: 0.1, median: 0.01, worst: 0.1, ranks: 0.9},
		{theirs: "attn:0", ours: "ffn:0", margin: 0.2, noise: 0.1, median: 0.03, worst: 0.4, ranks: 0.7},
		{theirs: "attn:0", ours: "attn:0", margin: 0.1, noise: 0.2, median: 0.02, worst: 0.2, ranks: 0.8},
		{theirs: "attn:0", ours: "ffn:0", margin: 0.1, noise: 0.2, median: 0.02, worst: 0.2, ranks: 0.8},
	} {
		sum.add(v, 6, 2)
	}
	if sum.steps != 4 || sum.counted != 2 || sum.same != 1 || sum.within != 1 || sum.theirs != 24 || sum.ours != 8 ||
		sum.worst != 0.4 || sum.ranks != 0.7 || !near(measure.Median(sum.medians), 0.02) {
		t.Errorf("%+v", sum)
	}
}
