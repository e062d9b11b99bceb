package strategy

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// Without noise there is nothing to be wrong about but ties: fast makes greedy's decisions at a fraction of the cost.
func TestFastIsGreedyWithoutNoise(t *testing.T) {
	t.Parallel()
	for _, seed := range []string{"a", "b", "c", "d", "e"} {
		model := searchtest.PlainModel(12)
		src := &searchtest.Texts{N: 64, Mean: searchtest.Layered(seed), Branching: true}
		l := searchtest.NewLedger(t, src, model)
		f := NewFast(l, 1)
		f.Rule.Tolerance = 0
		fast, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		greedy, err := search.Run(t.Context(), Greedy{searchtest.NewLedger(t, src, model)}, model, blockmask.Mix, search.Goal{Blocks: 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if searchtest.Order(fast) != searchtest.Order(greedy) {
			t.Errorf("seed %s: fast removed %q, greedy %q", seed, searchtest.Order(fast), searchtest.Order(greedy))
		}
		paper := 0.0
		for i, s := range fast.Steps {
			paper += s.PaperCost
			if math.Abs(s.Score-greedy.Steps[i].Score) > 1e-9 {
				t.Errorf("seed %s step %d: score %v, exactly %v", seed, i+1, s.Score, greedy.Steps[i].Score)
			}
		}
		if part := l.Spent() / paper; part > 0.06 {
			t.Errorf("seed %s: cost %.3f of the paper's", seed, part)
		}
	}
}

// With noise, what fast removes is nearly as good; the last score is measured, estimates are near the truth and say that they are
// estimates.
func TestFastWithNoise(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(12)
	worst, cost, paper := 0.0, 0.0, 0.0
	for seed := range uint64(8) {
		src := &searchtest.Texts{N: 64, Mean: searchtest.Layered("noise"), Noise: .02, Branching: true}
		l := searchtest.NewLedger(t, src, model)
		f := NewFast(l, seed)
		fast, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		greedy, err := search.Run(t.Context(), Greedy{searchtest.NewLedger(t, src, model)}, model, blockmask.Mix, search.Goal{Blocks: 8}, nil)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, src.Mean(fast.Removed())-src.Mean(greedy.Removed()))
		var removed blockmask.Mask
		for i, s := range fast.Steps {
			cost, paper = cost+s.Cost, paper+s.PaperCost
			removed = removed.Union(s.Removed)
			exact := src.Fold(l.Sequences(), searchtest.Truth(src, removed))
			k := slices.IndexFunc(s.Candidates, func(c search.Candidate) bool { return c.Mask.Equal(s.Removed) })
			measured := s.Candidates[k].Sequences == 0
			if off := math.Abs(s.Score/exact - 1); off > 0.03 || measured && off > 1e-9 || i == 7 && !measured {
				t.Errorf("seed %d step %d: score %v (measured: %v), exactly %v", seed, i+1, s.Score, measured, exact)
			}
		}
		if f.Seen.Steps != 8 || f.Seen.Audits != 8/DefaultAuditEvery {
			t.Errorf("seed %d: %+v", seed, f.Seen)
		}
	}
	t.Logf("worst %.4f nats behind greedy, cost %.3f", worst, cost/paper)
	if worst > 0.02 || cost/paper > 0.11 {
		t.Errorf("worst %.4f nats behind greedy, cost %.3f", worst, cost/paper)
	}
}

// The same seed gives the same search, to the bit; and any landscape, unit and number of sequences gives one.
func TestFastIsDeterministicAndTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(rapid.IntRange(2, 8).Draw(t, "layers"))
		unit := rapid.SampledFrom(blockmask.Units()).Draw(t, "unit")
		n := rapid.SampledFrom([]int{1, 2, 3, 5, 16, 40}).Draw(t, "sequences")
		blocks := rapid.IntRange(1, len(model.Most(unit))).Draw(t, "blocks")
		noise := rapid.SampledFrom([]float64{0, .01, .3}).Draw(t, "noise")
		flat := rapid.Bool().Draw(t, "flat")
		seed := rapid.Uint64().Draw(t, "seed")
		find := func() (*search.Result, *Fast) {
			mean := searchtest.Layered("det")
			if flat {
				mean = func(blockmask.Mask) float64 { return 2 }
			}
			f := NewFast(search.NewLedger(&searchtest.Texts{N: n, Mean: mean, Noise: noise, Branching: true}, searchtest.PlainCost(model), nil, ""), seed)
			f.AuditEvery, f.Admit = 2, 3
			r, err := search.Run(t.Context(), f, model, unit, search.Goal{Blocks: blocks}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return r, f
		}
		a, fa := find()
		b, fb := find()
		if diff := cmp.Diff(a, b); diff != "" || fa.Seen != fb.Seen {
			t.Fatal(diff)
		}
		for _, s := range a.Steps {
			if !jsonnum.Finite(s.Score) || s.Cost < 0 || s.PaperCost <= 0 {
				t.Fatalf("%+v", s)
			}
		}
		if got := len(a.Removed()); got < blocks || got > blocks+1 {
			t.Fatalf("%d blocks removed, want %d", got, blocks)
		}
	})
}

// Exploding candidates end last and are never removed while there are others; when nothing else is left, the search says so.
func TestFastWithExplodingCandidates(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{math.Inf(1), math.NaN(), math.Inf(-1)} {
		model := searchtest.PlainModel(4)
		explodes := searchtest.Mask(t, "attn:0-2,ffn:1")
		src := &searchtest.Texts{N: 32, Noise: .01, Mean: func(m blockmask.Mask) float64 {
			for _, b := range explodes.Blocks() {
				if m.Has(b) {
					return bad
				}
			}
			return searchtest.Layered("x")(m)
		}}
		r, err := search.Run(t.Context(), NewFast(searchtest.NewLedger(t, src, model), 3), model, blockmask.Mix, search.Goal{Blocks: 4}, nil)
		if err != nil || r.Removed().String() != "ffn:0,ffn:2-3,attn:3" {
			t.Errorf("%v: removed %v, %v", bad, r.Removed(), err)
		}
		if _, err := search.Run(t.Context(), NewFast(searchtest.NewLedger(t, src, model), 3), model, blockmask.Mix, search.Goal{Blocks: 5}, nil); err == nil {
			t.Errorf("%v: five blocks can go", bad)
		}
	}
}

// When everything that was near the winner explodes, what was not admitted is tried before giving up.
func TestFastWhenAllAdmittedExplode(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(8)
	worst := blockmask.Block{Layer: 5, Kind: blockmask.FFN}
	src := &searchtest.Texts{N: 32, Branching: true, Mean: func(m blockmask.Mask) float64 {
		switch {
		case m.Has(worst):
			return 9
		case len(m) > 1:
			return math.Inf(1)
		}
		return searchtest.Layered("w")(m)
	}}
	f := NewFast(searchtest.NewLedger(t, src, model), 1)
	r, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 2}, nil)
	if err != nil || !r.Removed().Has(worst) {
		t.Errorf("removed %v, %v", r.Removed(), err)
	}
}

// A candidate that was far behind and becomes the best is found by an audit, which counts it.
func TestAuditFindsWhatWasNotAdmitted(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(8)
	hidden := blockmask.Block{Layer: 7, Kind: blockmask.FFN}
	src := &searchtest.Texts{N: 64, Noise: .001, Branching: true, Mean: func(m blockmask.Mask) float64 {
		sum := searchtest.Layered("h")(m)
		if m.Has(hidden) && len(m) < 4 {
			sum += 3 // as long as three others are there
		} else if m.Has(hidden) {
			sum -= 1
		}
		return sum
	}}
	f := NewFast(searchtest.NewLedger(t, src, model), 1)
	f.Admit, f.AuditEvery = 8, 4
	r, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Steps[3].Removed; !got.Equal(blockmask.New(hidden)) || f.Seen.Missed != 1 || f.Seen.Lost != 0 || f.Seen.WorstLoss < .5 {
		t.Errorf("step 4 removed %v; %v", got, f.Seen)
	}
}

// The whole model's score is not measured where it is known.
func TestFastWithAKnownWhole(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(6)
	src := &searchtest.Texts{N: 32, Mean: func(m blockmask.Mask) float64 { return searchtest.Layered("k")(m) - 1.5 }, Whole: true, Branching: true}
	l := searchtest.NewLedger(t, src, model)
	f := NewFast(l, 1)
	r, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{Blocks: 1}, nil)
	if err != nil || r.Base != 1 || !math.IsNaN(l.Means([]int{0}, nil)[0]) {
		t.Errorf("base %v, measured %v, %v", r.Base, l.Means([]int{0}, nil), err)
	}
	// A divergence is a rise by itself.
	m := r.Removed()
	for i, rise := range f.told[m.Key()] {
		if !math.IsNaN(rise) && !searchtest.Near(rise, src.At(i, m)) {
			t.Errorf("sequence %d: a rise of %v is foretold, measured was %v", i, rise, src.At(i, m))
		}
	}
	if !slices.ContainsFunc(f.told[m.Key()], jsonnum.Finite) {
		t.Error("nothing is foretold")
	}
}
