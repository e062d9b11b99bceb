package search_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
	"github.com/ggufprune/ggufprune/search/searchtest"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// The last step is the last one within the bound; the next one of a longer search is outside, and a plan has the same prefix.
func TestQualityGoalsEndWithinTheBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(5)
		src := &searchtest.Texts{N: 16, Mean: searchtest.Layered("q"), Noise: .01, Branching: true}
		ratio := rapid.Float64Range(1.001, 5).Draw(t, "ratio")
		long, err := search.Run(t.Context(), strategy.Greedy{Scorer: search.NewLedger(src, searchtest.PlainCost(model), nil, "")}, model, blockmask.Mix, search.Goal{Blocks: 9}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for want < 9 && long.Steps[want].Score <= ratio*long.Base {
			want++
		}
		var chosen search.Strategy = strategy.Greedy{Scorer: search.NewLedger(src, searchtest.PlainCost(model), nil, "")}
		r, err := search.Run(t.Context(), chosen, model, blockmask.Mix, search.Goal{MaxPPLRatio: ratio}, nil)
		var goal *search.GoalError
		if want == 0 && (!errors.As(err, &goal) || !strings.Contains(err.Error(), "nothing can be removed")) {
			t.Fatalf("nothing fits %v, but: %v", ratio, err)
		} else if want > 0 && (err != nil || len(r.Steps) != want) {
			t.Fatalf("%v: %d steps, want %d, %v", ratio, len(r.Steps), want, err)
		}
		p := &plan.Plan{Metric: "ppl", Base: long.Base, Steps: long.Steps}
		if k, err := p.Prefix(search.Goal{MaxPPLRatio: ratio}, nil); k != want || (err != nil) != (want == 0) {
			t.Fatalf("%v: prefix of %d, want %d, %v", ratio, k, want, err)
		}
		if want == 0 {
			return
		}
		// strategy.Fast estimates scores, but not where a bound is to be kept.
		f := strategy.NewFast(search.NewLedger(src, searchtest.PlainCost(model), nil, ""), 1)
		fast, err := search.Run(t.Context(), f, model, blockmask.Mix, search.Goal{MaxPPLRatio: ratio}, nil)
		if err != nil && !errors.As(err, &goal) {
			t.Fatal(err)
		}
		var removed blockmask.Mask
		for _, s := range fast.Steps {
			removed = removed.Union(s.Removed)
			if exact := src.Fold(f.Ledger.Sequences(), searchtest.Truth(src, removed)); exact > ratio*fast.Base*(1+1e-12) || math.Abs(exact-s.Score) > 1e-9 {
				t.Fatalf("%v: step %d scores %v, exactly %v", ratio, s.Index, s.Score, exact)
			}
		}
	})
}

func TestQualityIsMeasuredWhereTheMetricIsAnother(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(4)
	asked := 0
	model.Quality = func(_ context.Context, m blockmask.Mask) (float64, error) {
		asked++
		return float64(len(m)) / 10, nil
	}
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
	r, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{MaxKLD: .35}, nil)
	if err != nil || len(r.Steps) != 3 || asked != 4 {
		t.Errorf("%d steps after %d measurements, %v", len(r.Steps), asked, err)
	}
	model.Quality = func(context.Context, blockmask.Mask) (float64, error) { return 0, searchtest.ErrEngine }
	if _, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{MaxKLD: .35}, nil); !errors.Is(err, searchtest.ErrEngine) {
		t.Errorf("failing measurement: %v", err)
	}
	p := &plan.Plan{Metric: "ppl", Base: 5, Steps: r.Steps}
	if _, err := p.Prefix(search.Goal{MaxKLD: 1}, nil); err == nil || !strings.Contains(err.Error(), "metric ppl") {
		t.Errorf("a bound of divergence on a plan of perplexities: %v", err)
	}
}

// A bound that never bites ends with all that can go.
func TestQualityGoalWithoutLimit(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(3)
	r, err := search.Run(t.Context(), strategy.Greedy{Scorer: &searchtest.Synthetic{Of: searchtest.Costs(nil)}}, model, blockmask.Mix, search.Goal{MaxKLD: 100}, nil)
	if err != nil || len(r.Steps) != 5 {
		t.Errorf("%d steps, %v", len(r.Steps), err)
	}
	s := &searchtest.Synthetic{Of: searchtest.Costs(map[string]float64{"ffn:2": math.Inf(1), "attn:2": math.Inf(1)})}
	r, err = search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{MaxKLD: 100}, nil)
	if err != nil || len(r.Steps) != 4 {
		t.Errorf("until everything explodes: %d steps, %v", len(r.Steps), err)
	}
}

func TestSpeedup(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(4)
	if _, err := search.Run(t.Context(), strategy.Greedy{Scorer: &searchtest.Synthetic{Of: searchtest.Costs(nil)}}, model, blockmask.Mix, search.Goal{Speedup: 1.5}, nil); err == nil {
		t.Error("speed without times")
	}
	model.Rest, model.Times = 2, map[blockmask.Block]float64{}
	for _, b := range model.Blocks {
		model.Times[b] = 1 + float64(b.Kind) // 2 + 4*(1+2) = 14 in all
	}
	r, err := search.Run(t.Context(), strategy.Greedy{Scorer: &searchtest.Synthetic{Of: searchtest.Costs(nil)}}, model, blockmask.Mix, search.Goal{Speedup: 1.5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// attn:0 ffn:0 attn:1 leave 14-4 = 10, ffn:1 8: 14/8 = 1.75.
	n := len(r.Steps)
	if n != 4 || !searchtest.Near(r.Steps[n-1].Speedup, 1.75) || !searchtest.Near(r.Steps[n-2].Speedup, 1.4) {
		t.Errorf("%d steps, the last %v times as fast", n, r.Steps[n-1].Speedup)
	}
	p := &plan.Plan{Metric: "ppl", Steps: r.Steps}
	if k, err := p.Prefix(search.Goal{Speedup: 1.2}, nil); k != 2 || err != nil {
		t.Errorf("prefix for 1.2: %d, %v", k, err)
	}
	var goal *search.GoalError
	for _, g := range []search.Goal{{Speedup: 1}, {Speedup: .5}, {Speedup: math.Inf(1)}, {Speedup: 100}, {MaxPPLRatio: 1}, {MaxPPLRatio: math.NaN()}, {MaxKLD: -1}, {Speedup: 2, Blocks: 1}} {
		s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
		if _, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, g, nil); !errors.As(err, &goal) || s.Calls > 0 {
			t.Errorf("%+v: %v after %d evaluations", g, err, s.Calls)
		}
	}
}

// Pairs can always go on until the last one.
func TestGoalOfPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(rapid.IntRange(2, 6).Draw(t, "layers"))
		most := model.Most(blockmask.Pairs)
		if len(most) != len(model.Blocks)-2 {
			t.Fatalf("at most %v", most)
		}
		s := &searchtest.Synthetic{Of: searchtest.Hashed(rapid.Uint64().Draw(t, "seed"), 50)}
		r, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Pairs, search.Goal{Ratio: model.State(most).Ratio}, nil)
		if err != nil || len(r.Removed()) > len(model.Blocks)-2 {
			t.Fatalf("removed %v, %v", r.Removed(), err)
		}
	})
}
