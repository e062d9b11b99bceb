package strategy

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

func runRanked(t *testing.T, r *Ranked, unit blockmask.Unit, blocks int) string {
	t.Helper()
	got, err := search.Run(t.Context(), r, searchtest.PlainModel(3), unit, search.Goal{Blocks: blocks}, nil)
	if err != nil {
		t.Fatalf("%s: %v", r.Name(), err)
	}
	return searchtest.Order(got)
}

// One-shot ranks once: removing a block that makes another indispensable does not move that one.
func TestOneshot(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: func(m blockmask.Mask) float64 {
		sum := searchtest.Costs(map[string]float64{"attn:0": 1, "ffn:0": 2, "attn:1": 3, "ffn:1": 4, "attn:2": 5, "ffn:2": 6})(m)
		if m.HasAll(searchtest.Mask(t, "attn:0,ffn:0")) {
			sum += 100
		}
		return sum
	}}
	if got := runRanked(t, Oneshot(s), blockmask.Mix, 3); got != "attn:0 ffn:0 attn:1 " {
		t.Errorf("removed %q", got)
	}
	if s.Evals != 6+3 { // once each, and the three that were removed
		t.Errorf("%d evaluations", s.Evals)
	}
	if got := runRanked(t, Oneshot(s), blockmask.Pairs, 4); got != "ffn:0,attn:1 attn:0,ffn:1 " {
		t.Errorf("pairs %q", got)
	}
}

func TestBI(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
	got := engine.Influence{Blocks: map[blockmask.Block]float64{}, Layers: map[int]float64{0: .1, 1: .9, 2: .5}, Positions: 10}
	for i, b := range searchtest.PlainModel(3).Blocks {
		got.Blocks[b] = []float64{.9, .2, .3, .5, .8, .7}[i]
	}
	calls := 0
	influence := func(context.Context) (engine.Influence, error) {
		calls++
		return got, nil
	}
	if r := runRanked(t, BI(s, influence), blockmask.Mix, 3); r != "attn:0 attn:2 ffn:2 " || calls != 1 {
		t.Errorf("blocks %q after %d calls", r, calls)
	}
	if r := runRanked(t, BI(s, influence), blockmask.Whole, 4); r != "attn:1,ffn:1 attn:2,ffn:2 " {
		t.Errorf("layers %q", r)
	}
	if r := runRanked(t, BI(s, influence), blockmask.Pairs, 2); r != "attn:1,ffn:1 " {
		t.Errorf("pairs %q", r)
	}
	delete(got.Blocks, blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	_, err := search.Run(t.Context(), BI(s, influence), searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 1}, nil)
	if err == nil || !strings.Contains(err.Error(), "ffn:1") {
		t.Errorf("without a block: %v", err)
	}
	failing := BI(s, func(context.Context) (engine.Influence, error) { return engine.Influence{}, searchtest.ErrEngine })
	if _, err := search.Run(t.Context(), failing, searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 1}, nil); !errors.Is(err, searchtest.ErrEngine) {
		t.Errorf("failing engine: %v", err)
	}
}

func TestMeanInfluence(t *testing.T) {
	t.Parallel()
	b := blockmask.Block{Layer: 1, Kind: blockmask.FFN}
	part := func(cos float64, n int) engine.Influence {
		return engine.Influence{Blocks: map[blockmask.Block]float64{b: cos}, Layers: map[int]float64{1: cos / 2}, Positions: n}
	}
	got := MeanInfluence([]engine.Influence{part(.5, 30), part(.9, 10)})
	if !searchtest.Near(got.Blocks[b], .6) || !searchtest.Near(got.Layers[1], .3) || got.Positions != 40 {
		t.Errorf("%+v", got)
	}
}

func TestMagnitude(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
	norm := func(b blockmask.Block) (float64, error) { return float64((b.Layer + 1) % 3), nil }
	if r := runRanked(t, Magnitude(s, norm), blockmask.Mix, 3); r != "attn:2 ffn:2 attn:0 " {
		t.Errorf("removed %q", r)
	}
	failing := Magnitude(s, func(blockmask.Block) (float64, error) { return 0, searchtest.ErrEngine })
	if _, err := search.Run(t.Context(), failing, searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 1}, nil); !errors.Is(err, searchtest.ErrEngine) {
		t.Errorf("failing norm: %v", err)
	}
}

func TestRandom(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
	orders := map[string]bool{}
	for seed := range uint64(40) {
		first := runRanked(t, Random(s, seed), blockmask.Mix, 2)
		if again := runRanked(t, Random(s, seed), blockmask.Mix, 2); again != first {
			t.Errorf("seed %d removed %q, then %q", seed, first, again)
		}
		orders[first] = true
	}
	if len(orders) < 15 { // of 30
		t.Errorf("40 seeds gave %d orders", len(orders))
	}
}

// A baseline's score is measured, not what it ranked by; what explodes ends the search with a reason.
func TestRankedScores(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(map[string]float64{"attn:0": .25})}
	one := func(blockmask.Block) (float64, error) { return 1, nil }
	r, err := search.Run(t.Context(), Magnitude(s, one), searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 1}, nil)
	if err != nil || r.Steps[0].Score != 5.25 || r.Base != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	s.Of = searchtest.Costs(map[string]float64{"attn:0": math.Inf(1)})
	if _, err := search.Run(t.Context(), Magnitude(s, one), searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 1}, nil); !errors.Is(err, search.ErrExploded) {
		t.Errorf("exploding: %v", err)
	}
}
