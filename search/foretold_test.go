package search

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Whatever was foretold, the mean over all sequences stays what it is; what was never measured is left alone.
func TestForetoldIsUnbiased(t *testing.T) {
	m := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "sequences")
		values := rapid.SliceOfN(rapid.Float64Range(-5, 5), n, n)
		unknown := func(name string) []float64 {
			x := values.Draw(t, name)
			for i := range x {
				if rapid.IntRange(0, 2).Draw(t, "unknown") == 0 {
					x[i] = []float64{math.NaN(), math.Inf(1)}[i%2]
				}
			}
			return x
		}
		f := foretold{}
		f.learn(m, unknown("first"))
		f.learn(m, unknown("second"))
		x := values.Draw(t, "x")
		got := append([]float64(nil), x...)
		which := make([]int, n)
		for i := range which {
			which[i] = i
		}
		f.adjust(m, which, got)
		if a, b := meanOf(x), meanOf(got); math.Abs(a-b) > 1e-9 || math.IsNaN(b) {
			t.Fatalf("mean %v became %v", a, b)
		}
	})
}

// What is known from different steps is put on the level of the last.
func TestForetoldLevels(t *testing.T) {
	m := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	nan := math.NaN()
	f := foretold{}
	f.learn(m, []float64{1, 2, nan, nan})
	f.learn(m, []float64{nan, 3, 5, nan}) // a step dearer
	x := []float64{10, 10, 10, 10}
	f.adjust(m, []int{0, 1, 2, 3}, x) // rises 2, 3, 5, unknown
	mean := 10.0 / 3
	for i, want := range []float64{10 - 2 + mean, 10 - 3 + mean, 10 - 5 + mean, 10} {
		if math.Abs(x[i]-want) > 1e-12 {
			t.Errorf("sequence %d: %v, want %v", i, x[i], want)
		}
	}
	f.adjust(blockmask.New(blockmask.Block{Layer: 2}), []int{0}, x[:1]) // never seen
}

// Where a block hurts a text as in the step before, but for a little, a few sequences say what the whole set does: with what is
// foretold fast goes astray far less.
func TestForetoldHelps(t *testing.T) {
	model := plainModel(12)
	astray := func(told bool) (nats float64) {
		for seed := range uint64(8) {
			src := &texts{n: 64, mean: layered("lasting"), lasting: .03, noise: .005, branches: true}
			l := newLedger(t, src, model)
			f := NewFast(l, seed)
			var removed blockmask.Mask
			for range 8 {
				if !told {
					f.told = nil
				}
				cands := blockmask.Candidates(blockmask.Mix, model.Blocks, removed)
				c, err := f.Choose(t.Context(), removed, cands)
				if err != nil {
					t.Fatal(err)
				}
				whole := func(m blockmask.Mask) float64 { return math.Log(src.Fold(l.all, truth(src, removed.Union(m)))) }
				best := math.Inf(1)
				for _, m := range cands {
					best = min(best, whole(m))
				}
				nats += whole(c.Scored[c.Best].Mask) - best
				removed = removed.Union(c.Scored[c.Best].Mask)
			}
		}
		return nats
	}
	with, without := astray(true), astray(false)
	t.Logf("%.4f nats astray in 64 steps, %.4f without what is foretold", with, without)
	if with > 0.75*without {
		t.Errorf("%.4f nats astray, %.4f without what is foretold", with, without)
	}
}
