package strategy

import (
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// Where a block hurts a text as in the step before, but for a little, a few sequences say what the whole set does: with what is
// foretold fast goes astray far less.
func TestForetoldHelps(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(12)
	astray := func(told bool) (nats float64) {
		for seed := range uint64(8) {
			src := &searchtest.Texts{N: 64, Mean: searchtest.Layered("lasting"), Lasting: .03, Noise: .005, Branching: true}
			l := searchtest.NewLedger(t, src, model)
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
				whole := func(m blockmask.Mask) float64 {
					return math.Log(src.Fold(l.Sequences(), searchtest.Truth(src, removed.Union(m))))
				}
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
