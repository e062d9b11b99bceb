package strategy

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/race"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// decoys is a landscape in which greedy goes wrong: the blocks of trap look cheapest one by one, but those of best together cost
// least.
func decoys(trap, best blockmask.Mask) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		sum := searchtest.Layered("decoy")(m)
		in := 0
		for _, b := range m.Blocks() {
			switch {
			case trap.Has(b):
				sum -= 0.2
			case best.Has(b):
				in++
			}
		}
		if in == len(best) {
			sum -= 2
		}
		return sum
	}
}

func refineOf(l *search.Ledger, model *search.Model, unit blockmask.Unit, goal search.Goal, seed uint64) *Refine {
	s, v := Halves(len(l.Sequences()), seed)
	return &Refine{
		Ledger: l, Model: model, Unit: unit, Goal: goal, Seed: seed, Search: s, Validation: v,
		Rule: race.Rule{Confidence: .9, Tolerance: .001, Finalists: 2},
	}
}

func TestRefineLeavesATrap(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(6)
	trap, best := searchtest.Mask(t, "attn:0,attn:2,attn:4"), searchtest.Mask(t, "ffn:1,ffn:3,attn:5")
	src := &searchtest.Texts{N: 32, Mean: decoys(trap, best), Noise: .02, Branching: true}
	l := searchtest.NewLedger(t, src, model)
	got, err := refineOf(l, model, blockmask.Mix, search.Goal{Blocks: 3}, 1).Improve(t.Context(), trap)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Mask.Equal(best) || got.Accepted < 1 || !(got.Validation < got.StartValidation) || !(got.Score < got.StartScore) {
		t.Errorf("%+v", got)
	}
}

// Whatever the landscape and the unit: the result is allowed, of the start's size, not worse on either half, and says what it cost.
func TestRefineIsNeverWorse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(rapid.IntRange(3, 7).Draw(t, "layers"))
		unit := rapid.SampledFrom(blockmask.Units()).Draw(t, "unit")
		src := &searchtest.Texts{N: rapid.SampledFrom([]int{2, 5, 24}).Draw(t, "n"), Mean: searchtest.Layered("r"), Noise: rapid.SampledFrom([]float64{0, .02, .4}).Draw(t, "noise")}
		if rapid.Bool().Draw(t, "rough") {
			src.Mean = func(m blockmask.Mask) float64 { return 1 + searchtest.Hashed(3, 1000)(m)/500 }
		}
		l := search.NewLedger(src, searchtest.PlainCost(model), nil, "")
		start, err := search.Run(t.Context(), Random(l, 7), model, unit, search.Goal{Blocks: 2}, nil)
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		improve := func() *search.Refined {
			l := search.NewLedger(src, searchtest.PlainCost(model), nil, "")
			r := refineOf(l, model, unit, search.Goal{Blocks: 2}, seed)
			r.Children, r.Patience = 5, 2
			got, err := r.Improve(t.Context(), start.Removed())
			if err != nil {
				t.Fatal(err)
			}
			if got.Cost != l.Spent() {
				t.Fatalf("cost %v, spent %v", got.Cost, l.Spent())
			}
			return got
		}
		got := improve()
		if diff := cmp.Diff(got, improve()); diff != "" {
			t.Fatalf("another time:\n%s", diff)
		}
		if got.Validation > got.StartValidation || got.Score > got.StartScore || len(got.Mask) != len(got.Start) {
			t.Fatalf("%+v", got)
		}
		if moved := !got.Mask.Equal(got.Start); moved != (got.Accepted > 0) || moved && !(got.Validation < got.StartValidation) {
			t.Fatalf("%+v", got)
		}
		if unit == blockmask.Attn && slices.ContainsFunc(got.Mask.Blocks(), func(b blockmask.Block) bool { return b.Kind != blockmask.Mixer }) {
			t.Fatalf("mixers became %v", got.Mask)
		}
		if unit == blockmask.Pairs || unit == blockmask.Whole {
			for _, layer := range blockmask.Pair(model.Blocks, got.Mask) {
				if !layer.Full() {
					t.Fatalf("%v leaves %v", got.Mask, layer)
				}
			}
		}
	})
}

// What is better by chance on the search half, and on no other text, is turned down.
func TestRefineRejectsWhatDoesNotCarryOver(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(5)
	start := searchtest.Mask(t, "attn:0,attn:1")
	half, _ := Halves(24, 2)
	src := &lucky{searchtest.Texts{N: 24, Mean: func(blockmask.Mask) float64 { return 1 }, Noise: 0}, half, start}
	l := search.NewLedger(src, searchtest.PlainCost(model), nil, "")
	r := refineOf(l, model, blockmask.Mix, search.Goal{Blocks: 2}, 2)
	got, err := r.Improve(t.Context(), start)
	if err != nil || !got.Mask.Equal(start) || got.Rejected == 0 || got.Accepted != 0 || got.Generations < r.Patience {
		t.Errorf("%+v, %v", got, err)
	}
}

// A goal of parameters may be reached by other numbers of blocks, and stays reached.
func TestRefineKeepsTheGoal(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(6)
	goal := search.Goal{Ratio: 0.2}
	l := searchtest.NewLedger(t, &searchtest.Texts{N: 16, Mean: searchtest.Layered("goal"), Noise: .01}, model)
	start, err := search.Run(t.Context(), Greedy{l}, model, blockmask.Mix, goal, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := refineOf(l, model, blockmask.Mix, goal, 3).Improve(t.Context(), start.Removed())
	if err != nil || model.State(got.Mask).Ratio < goal.Ratio {
		t.Errorf("%+v leaves the goal: %.3f, %v", got, model.State(got.Mask).Ratio, err)
	}
}

func TestRefineStopsAtItsCost(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(6)
	src := &searchtest.Texts{N: 32, Mean: searchtest.Layered("cost"), Noise: .02}
	run := func(limit float64) *search.Refined {
		r := refineOf(searchtest.NewLedger(t, src, model), model, blockmask.Mix, search.Goal{Blocks: 4}, 1)
		r.MaxCost, r.Patience = limit, 50
		got, err := r.Improve(t.Context(), searchtest.Mask(t, "ffn:0,ffn:1,ffn:2,ffn:3"))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	free := run(0)
	bound := run(free.Cost / 4)
	if bound.Cost >= free.Cost/2 || bound.Generations >= free.Generations {
		t.Errorf("with a limit of %.0f: %.0f in %d generations; without %.0f in %d",
			free.Cost/4, bound.Cost, bound.Generations, free.Cost, free.Generations)
	}
	r := refineOf(searchtest.NewLedger(t, &searchtest.Texts{N: 1, Mean: searchtest.Layered("one")}, model), model, blockmask.Mix, search.Goal{Blocks: 1}, 1)
	if _, err := r.Improve(t.Context(), searchtest.Mask(t, "ffn:0")); err == nil || !strings.Contains(err.Error(), "two sequences") {
		t.Errorf("one sequence: %v", err)
	}
}

// The plan of a refined search is nested, ends at the improved mask and is scored on all sequences.
func TestRunRefine(t *testing.T) {
	t.Parallel()
	for _, unit := range []blockmask.Unit{blockmask.Mix, blockmask.Pairs, blockmask.Whole} {
		model := searchtest.PlainModel(6)
		src := &searchtest.Texts{N: 32, Mean: searchtest.Layered("run"), Noise: .02, Branching: true}
		l := searchtest.NewLedger(t, src, model)
		f, re := NewFast(l, 5), refineOf(l, nil, "", search.Goal{}, 5)
		order := NewFast(l, 5)
		var kinds []string
		r, refined, err := RunRefine(t.Context(), f, re, order, model, unit, search.Goal{Blocks: 4}, func(e search.Event) {
			switch e := e.(type) {
			case search.Started:
				kinds = append(kinds, e.Strategy)
			case search.Refining:
				kinds = append(kinds, "refining")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		last := r.Steps[len(r.Steps)-1]
		score, _, err := searchtest.NewLedger(t, src, model).Score(t.Context(), refined.Mask, nil)
		if err != nil || !r.Removed().Equal(refined.Mask) || !searchtest.Near(last.Score, score) || refined.Validation > refined.StartValidation {
			t.Errorf("%s: steps end at %v with %v, refined to %v with %v, %v", unit, r.Removed(), last.Score, refined.Mask, score, err)
		}
		if all := strings.Join(slices.Compact(kinds), " "); all != "fast refining order" {
			t.Errorf("%s: %s", unit, all)
		}
	}
}

func TestHalves(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 7, 64} {
		s, v := Halves(n, 3)
		all := slices.Sorted(slices.Values(slices.Concat(s, v)))
		if len(s) != (n+1)/2 || len(all) != n || len(slices.Compact(all)) != n || !slices.IsSorted(s) || !slices.IsSorted(v) {
			t.Errorf("halves of %d: %v %v", n, s, v)
		}
	}
	a, _ := Halves(64, 3)
	b, _ := Halves(64, 4)
	if slices.Equal(a, b) {
		t.Error("two seeds split alike")
	}
}

// lucky is a source on whose sequences search everything is better than start, and on the others worse.
type lucky struct {
	searchtest.Texts
	search []int
	start  blockmask.Mask
}

func (s *lucky) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	for i := -1; i < len(candidates); i++ {
		m := removed
		if i >= 0 {
			m = removed.Union(candidates[i])
		} else if !base {
			continue
		}
		losses := make([]float64, len(batch))
		for j, seq := range batch {
			losses[j] = 20
			switch {
			case m.Equal(s.start):
			case slices.Contains(s.search, seq):
				losses[j] -= 1 + searchtest.Hash(m.String())
			default:
				losses[j]++
			}
		}
		if err := got(i, losses); err != nil {
			return err
		}
	}
	return nil
}
