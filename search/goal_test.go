package search_test

import (
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

// A goal is reached by the least number of steps: the last one reaches it, the one before does not.
func TestGoalsStopAtTheFirstStepThatReaches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(6)
		most := model.State(model.Most(blockmask.Mix))
		whole := model.State(nil)
		var goal search.Goal
		switch rapid.IntRange(0, 2).Draw(t, "goal") {
		case 0:
			goal.Blocks = rapid.IntRange(1, most.Blocks).Draw(t, "blocks")
		case 1:
			goal.Ratio = rapid.Float64Range(0.001, most.Ratio).Draw(t, "ratio")
		default:
			goal.Size = rapid.Int64Range(most.Size, whole.Size-1).Draw(t, "size")
		}
		s := &searchtest.Synthetic{Of: searchtest.Hashed(rapid.Uint64().Draw(t, "seed"), 1000)}
		last := 0.0
		r, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, goal, func(e search.Event) {
			if e, ok := e.(search.StepDone); ok {
				if e.Progress <= last || e.Progress > 1 {
					t.Fatalf("progress %v after %v", e.Progress, last)
				}
				last = e.Progress
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		reached := func(s search.Step) bool {
			return goal.Blocks > 0 && s.Index >= goal.Blocks || goal.Ratio > 0 && s.Ratio >= goal.Ratio ||
				goal.Size > 0 && s.Size <= goal.Size
		}
		n := len(r.Steps)
		if !reached(r.Steps[n-1]) || n > 1 && reached(r.Steps[n-2]) || last != 1 {
			t.Fatalf("goal %+v: %d steps, last %+v, progress %v", goal, n, r.Steps[n-1], last)
		}
		// The same goal asked of a plan with that order: the same prefix.
		p := &plan.Plan{Steps: r.Steps}
		if k, err := p.Prefix(goal, nil); err != nil || k != n {
			t.Fatalf("Prefix(%+v) = %d, %v; want %d", goal, k, err, n)
		}
	})
}

func TestImpossibleGoalsFailBeforeAnyEvaluation(t *testing.T) {
	t.Parallel()
	noSize := searchtest.PlainModel(3)
	noSize.Size = nil
	mixers := &search.Model{Blocks: searchtest.Mask(t, "attn:0-2").Blocks(), Params: map[blockmask.Block]uint64{}, Total: 1000}
	for _, b := range mixers.Blocks {
		mixers.Params[b] = 100
	}
	model := searchtest.PlainModel(3) // 2200 parameters, 1200 of them in blocks; 4464 bytes
	for _, tt := range []struct {
		name  string
		model *search.Model
		unit  blockmask.Unit
		goal  search.Goal
		want  string
	}{
		{"nothing", model, blockmask.Mix, search.Goal{}, "nothing to remove"},
		{"two goals", model, blockmask.Mix, search.Goal{Blocks: 1, Ratio: 0.1}, "only one"},
		{"negative blocks", model, blockmask.Mix, search.Goal{Blocks: -1}, "-1 blocks"},
		{"all blocks", model, blockmask.Mix, search.Goal{Blocks: 6}, "at most 5"},
		{"all layers", model, blockmask.Whole, search.Goal{Blocks: 5}, "at most 4"},
		{"too many mixers", model, blockmask.Attn, search.Goal{Blocks: 4}, "at most 3"},
		{"all of a model of mixers", mixers, blockmask.Mix, search.Goal{Blocks: 3}, "at most 2"},
		{"no FFN", mixers, blockmask.Ffn, search.Goal{Blocks: 1}, "nothing to remove of kind ffn"},
		{"ratio 1", model, blockmask.Mix, search.Goal{Ratio: 1}, "between 0 and 1"},
		{"ratio in percent", model, blockmask.Mix, search.Goal{Ratio: 20}, "between 0 and 1"},
		{"ratio below 0", model, blockmask.Mix, search.Goal{Ratio: -0.1}, "between 0 and 1"},
		{"ratio NaN", model, blockmask.Mix, search.Goal{Ratio: math.NaN()}, "between 0 and 1"},
		{"ratio beyond", model, blockmask.Mix, search.Goal{Ratio: 0.5}, "at most 0.4091"},
		{"ratio beyond the mixers", model, blockmask.Attn, search.Goal{Ratio: 0.2}, "at most 0.1364"},
		{"size reached already", model, blockmask.Mix, search.Goal{Size: 4464}, "nothing to remove: the model has 4464 bytes"},
		{"size beyond", model, blockmask.Mix, search.Goal{Size: 2663}, "the least is 2664"},
		{"size below 0", model, blockmask.Mix, search.Goal{Size: -5}, "above 0"},
		{"size without layout", noSize, blockmask.Mix, search.Goal{Size: 3000}, "needs a layout"},
	} {
		s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
		_, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, tt.model, tt.unit, tt.goal, func(search.Event) { t.Errorf("%s: an event", tt.name) })
		var goal *search.GoalError
		if !errors.As(err, &goal) || !strings.Contains(err.Error(), tt.want) || s.Calls != 0 {
			t.Errorf("%s: %v after %d calls, want %q", tt.name, err, s.Calls, tt.want)
		}
	}
}

func TestTheMostCanBeRemoved(t *testing.T) {
	t.Parallel()
	for unit, blocks := range map[blockmask.Unit]int{blockmask.Mix: 5, blockmask.Attn: 3, blockmask.Ffn: 3, blockmask.Whole: 4} {
		s := &searchtest.Synthetic{Of: searchtest.Hashed(3, 1000)}
		r, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, searchtest.PlainModel(3), unit, search.Goal{Blocks: blocks}, nil)
		if err != nil || len(r.Removed()) != blocks {
			t.Errorf("%s: %q, %v", unit, searchtest.Order(r), err)
		}
	}
}

func TestBadModels(t *testing.T) {
	t.Parallel()
	empty := &search.Model{Total: 10}
	unknown := searchtest.PlainModel(2)
	unknown.Params = map[blockmask.Block]uint64{}
	small := searchtest.PlainModel(2)
	small.Total = 100
	for want, m := range map[string]*search.Model{"no blocks": empty, "no parameters": unknown, "only 100": small} {
		if _, err := search.Run(t.Context(), strategy.Greedy{Scorer: &searchtest.Synthetic{}}, m, blockmask.Mix, search.Goal{Blocks: 1}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// Masks that no layout can write have no size. The search passes over them and ends with one that can be written.
func TestUnknownSizes(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(3)
	plain := model.Size
	refused := errors.New("no exact layout")
	model.Size = func(removed blockmask.Mask) (int64, error) {
		if len(removed)%2 == 1 {
			return 0, refused
		}
		return plain(removed)
	}
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)} // attn:0 (100), ffn:0 (300), attn:1, ffn:1
	r, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{Size: 4464 - 2*450}, nil)
	if err != nil || len(r.Steps) != 4 || r.Steps[2].Size != 0 || r.Steps[3].Size == 0 {
		t.Fatalf("%q, %v", searchtest.Order(r), err)
	}
	model.Size = func(removed blockmask.Mask) (int64, error) {
		if len(removed) > 0 {
			return 0, refused
		}
		return plain(removed)
	}
	r, err = search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{Size: 3000}, nil)
	if !errors.Is(err, search.ErrGoalMissed) || len(r.Steps) != 5 {
		t.Errorf("nothing can be written: %d steps, %v", len(r.Steps), err)
	}
	model.Size = func(blockmask.Mask) (int64, error) { return 0, refused }
	if _, err := search.Run(t.Context(), strategy.Greedy{Scorer: s}, model, blockmask.Mix, search.Goal{Size: 3000}, nil); !errors.Is(err, refused) {
		t.Errorf("the whole model cannot be written: %v", err)
	}
}
