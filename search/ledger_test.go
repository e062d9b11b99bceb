package search_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// Nothing is measured twice, and what comes out is what the source would say.
func TestLedgerMeasuresOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(3)
		src := &searchtest.Texts{N: 10, Mean: searchtest.Layered("a"), Noise: .1}
		l := search.NewLedger(src, searchtest.PlainCost(model), nil, "")
		for range rapid.IntRange(1, 6).Draw(t, "requests") {
			removed := blockmask.New(rapid.SliceOfN(rapid.SampledFrom(model.Blocks), 0, 2).Draw(t, "removed")...)
			cands := rapid.SliceOfNDistinct(rapid.SampledFrom(blockmask.Candidates(blockmask.Mix, model.Blocks, removed)), 0, 3,
				blockmask.Mask.String).Draw(t, "candidates")
			which := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 10, rapid.ID).Draw(t, "which")
			base := rapid.Bool().Draw(t, "base")
			_, scores, err := l.ScoreOn(t.Context(), which, removed, cands, base)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range cands {
				m := removed.Union(c)
				sum := 0.0
				for _, s := range which {
					sum += src.At(s, m) / float64(len(which))
				}
				if math.Abs(scores[i]-math.Exp(sum)) > 1e-9 {
					t.Fatalf("%v scores %v, want %v", m, scores[i], math.Exp(sum))
				}
			}
			runs, spent := src.Runs, l.Spent()
			if _, _, err := l.ScoreOn(t.Context(), which, removed, cands, base); err != nil || src.Runs != runs || l.Spent() != spent {
				t.Fatalf("asked again: %d more runs, cost %v more, %v", src.Runs-runs, l.Spent()-spent, err)
			}
		}
	})
}

// strategy.Greedy through a ledger removes what greedy without one does.
func TestGreedyThroughALedger(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(6)
	src := &searchtest.Texts{N: 8, Mean: searchtest.Layered("b"), Noise: .05}
	l := searchtest.NewLedger(t, src, model)
	got, err := search.Run(t.Context(), strategy.Greedy{Scorer: l}, model, blockmask.Mix, search.Goal{Blocks: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := &searchtest.Synthetic{Of: func(m blockmask.Mask) float64 {
		sum := 0.0
		for s := range src.N {
			sum += src.At(s, m) / float64(src.N)
		}
		return math.Exp(sum)
	}}
	want, err := search.Run(t.Context(), strategy.Greedy{Scorer: plain}, model, blockmask.Mix, search.Goal{Blocks: 5}, nil)
	if err != nil || searchtest.Order(got) != searchtest.Order(want) {
		t.Errorf("removed %q, without a ledger %q, %v", searchtest.Order(got), searchtest.Order(want), err)
	}
	// 12 blocks, head 3, embedding 0.5 on 8 sequences of 10 tokens, 9 of them scored.
	const tokens, scored = 80, 80 - 8
	paper, boundaries := 0.0, 0.0
	for r := range 5 {
		left := 12 - r
		paper += float64(left) * ((float64(left-1)+.5)*tokens + 3*scored)
		boundaries += (float64(left)+.5)*tokens + 3*scored
		for i := range left {
			boundaries += float64(left-1-i)*tokens + 3*scored
		}
	}
	// The winner of a step is the base of the next: known already, so that only the boundaries are captured. Without a source that
	// branches, that run is paid in full.
	cost, theirs := 0.0, 0.0
	for _, s := range got.Steps {
		cost += s.Cost
		theirs += s.PaperCost
	}
	if math.Abs(theirs-paper) > 1e-6 || math.Abs(cost-boundaries) > 1e-6 || cost != l.Spent() {
		t.Errorf("cost %v of %v, counted by hand %v of %v", cost, theirs, boundaries, paper)
	}
}

func TestCostOfARun(t *testing.T) {
	t.Parallel()
	m := searchtest.PlainModel(4)
	c := search.Cost{Blocks: m.Blocks, Head: 2, Embedding: .25}
	for _, tt := range []struct {
		removed, cands string
		base, branches bool
		want           search.Usage
	}{
		{"", "", true, true, search.Usage{8.25, 1}},
		{"", "", false, true, search.Usage{}},
		{"ffn:0", "", true, false, search.Usage{7.25, 1}},
		{"", "attn:0", false, true, search.Usage{0.25 + 7, 1}},
		{"", "ffn:3", false, true, search.Usage{7.25, 1}},
		{"", "ffn:3", true, true, search.Usage{8.25, 2}},
		{"", "ffn:3", false, false, search.Usage{8.25, 2}},
		{"attn:0", "attn:1,ffn:2", false, true, search.Usage{1.25 + 4, 1}},
	} {
		var cands []blockmask.Mask
		if tt.cands != "" {
			cands = []blockmask.Mask{searchtest.Mask(t, tt.cands)}
		}
		if got := c.Eval(searchtest.Mask(t, tt.removed), cands, tt.base, tt.branches); got != tt.want {
			t.Errorf("without %q, %q (base %v, branches %v): %+v, want %+v", tt.removed, tt.cands, tt.base, tt.branches, got, tt.want)
		}
	}
}

// What OnRun tells adds up to what was spent.
func TestRunsAddUpToTheCost(t *testing.T) {
	t.Parallel()
	for _, branches := range []bool{false, true} {
		model := searchtest.PlainModel(4)
		l := searchtest.NewLedger(t, &searchtest.Texts{N: 7, Mean: searchtest.Layered("c"), Branching: branches}, model)
		sum, tokens := 0.0, 0
		l.OnRun = func(r search.BatchRun) {
			sum += r.Cost
			tokens += r.Tokens
		}
		cands := blockmask.Candidates(blockmask.Mix, model.Blocks, nil)
		if err := l.Measure(t.Context(), l.Sequences(), nil, cands, false); err != nil {
			t.Fatal(err)
		}
		if err := l.Measure(t.Context(), l.Sequences(), cands[0], cands[2:4], true); err != nil {
			t.Fatal(err)
		}
		if math.Abs(sum-l.Spent()) > 1e-6 || tokens != 7*searchtest.TextTokens*(8+2) {
			t.Errorf("branches %v: runs cost %v and had %d tokens, spent %v", branches, sum, tokens, l.Spent())
		}
	}
}

type badSource struct{ searchtest.Texts }

func (badSource) Losses(_ context.Context, _ []int, _ blockmask.Mask, _ []blockmask.Mask, _ bool, got func(int, []float64) error) error {
	return got(-1, []float64{1})
}

func TestLedgerErrors(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(2)
	l := searchtest.NewLedger(t, &badSource{searchtest.Texts{N: 5, Mean: searchtest.Layered("d")}}, model)
	if _, _, err := l.Score(t.Context(), nil, nil); err == nil {
		t.Error("one loss for three sequences is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l = searchtest.NewLedger(t, &searchtest.Texts{N: 5, Mean: searchtest.Layered("d")}, model)
	if _, _, err := l.Score(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	nan := searchtest.NewLedger(t, &searchtest.Texts{N: 5, Mean: func(blockmask.Mask) float64 { return math.NaN() }}, model)
	if score, _, err := nan.Score(t.Context(), nil, nil); err != nil || !math.IsInf(score, 1) {
		t.Errorf("a model that gives no numbers scores %v, %v", score, err)
	}
	if got := nan.Means([]int{0, 1}, searchtest.Mask(t, "ffn:1")); !slices.ContainsFunc(got, math.IsNaN) {
		t.Errorf("means of what was not measured: %v", got)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, nan.Sequences()); diff != "" {
		t.Error(diff)
	}
}
