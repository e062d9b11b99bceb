package strategy

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// bruteForce is the paper's loop written down anew: no candidates' order, no batches, no shared code. It tries the blocks
// (or layers) that are left one by one, backwards, and breaks ties explicitly.
func bruteForce(m *search.Model, unit blockmask.Unit, score func(blockmask.Mask) float64, blocks int) (steps []blockmask.Mask) {
	gone := map[blockmask.Block]bool{}
	maskOf := func(extra ...blockmask.Block) blockmask.Mask {
		for b := range gone {
			extra = append(extra, b)
		}
		return blockmask.New(extra...)
	}
	for len(gone) < blocks {
		var best []blockmask.Block
		bestScore := math.Inf(1)
		for i := len(m.Blocks) - 1; i >= 0; i-- {
			b := m.Blocks[i]
			unitOf := []blockmask.Block{b}
			switch {
			case gone[b], unit == blockmask.Attn && b.Kind != blockmask.Mixer, unit == blockmask.Ffn && b.Kind != blockmask.FFN:
				continue
			case unit == blockmask.Whole:
				unitOf = []blockmask.Block{{Layer: b.Layer, Kind: blockmask.Mixer}, {Layer: b.Layer, Kind: blockmask.FFN}}
			case unit == blockmask.Pairs:
				if unitOf = nextTwo(m, gone, i); unitOf == nil {
					continue
				}
			}
			if s := score(maskOf(unitOf...)); s <= bestScore { // backwards: the last to tie is the first of the model
				best, bestScore = unitOf, s
			}
		}
		for _, b := range best {
			gone[b] = true
		}
		steps = append(steps, blockmask.New(best...))
	}
	return steps
}

// nextTwo returns block i and the one that follows it in what is left, nil if there is none of the other kind.
func nextTwo(m *search.Model, gone map[blockmask.Block]bool, i int) []blockmask.Block {
	for _, b := range m.Blocks[i+1:] {
		if !gone[b] && b.Kind != m.Blocks[i].Kind {
			return []blockmask.Block{m.Blocks[i], b}
		} else if !gone[b] {
			break
		}
	}
	return nil
}

func TestGreedyIsBruteForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(rapid.IntRange(2, 7).Draw(t, "layers"))
		unit := rapid.SampledFrom(blockmask.Units()).Draw(t, "unit")
		values := rapid.SampledFrom([]int{1, 3, 20, 1 << 40}).Draw(t, "values")
		score := searchtest.Hashed(rapid.Uint64().Draw(t, "seed"), values)
		blocks := rapid.IntRange(1, len(model.Most(unit))).Draw(t, "blocks")
		if unit == blockmask.Whole || unit == blockmask.Pairs {
			blocks += blocks % 2
		}
		s := &searchtest.Synthetic{Of: score}
		got, err := search.Run(t.Context(), Greedy{s}, model, unit, search.Goal{Blocks: blocks}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var steps []blockmask.Mask
		for _, step := range got.Steps {
			steps = append(steps, step.Removed)
		}
		if diff := cmp.Diff(bruteForce(model, unit, score, blocks), steps); diff != "" {
			t.Fatalf("-brute force +greedy\n%s", diff)
		}
		var removed blockmask.Mask
		for i, step := range got.Steps {
			checkStep(t, model, score, i, step, removed)
			removed = removed.Union(step.Removed)
		}
		if got.Base != score(nil) || s.Calls != len(steps) || !got.Removed().Equal(removed) {
			t.Fatalf("base %v after %d calls", got.Base, s.Calls)
		}
	})
}

// checkStep holds a step's numbers against their definitions.
func checkStep(t *rapid.T, model *search.Model, score func(blockmask.Mask) float64, i int, step search.Step, before blockmask.Mask) {
	after := before.Union(step.Removed)
	size, err := model.Size(after)
	if err != nil {
		t.Fatal(err)
	}
	if step.Index != i+1 || step.Score != score(after) || step.ParamsRemoved != model.ParamsOf(after) || step.Size != size ||
		!searchtest.Near(step.Ratio, float64(model.ParamsOf(after))/float64(model.Total)) {
		t.Fatalf("step %d after %v: %+v", i+1, before, step)
	}
	for _, c := range step.Candidates {
		if c.Score != score(before.Union(c.Mask)) || c.Score < step.Score {
			t.Fatalf("step %d: candidate %v scores %v, removed %v %v", i+1, c.Mask, c.Score, step.Removed, step.Score)
		}
	}
}

// The nested orders: a shorter search is the start of a longer one.
func TestGreedyIsNested(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := searchtest.PlainModel(5)
		s := &searchtest.Synthetic{Of: searchtest.Hashed(rapid.Uint64().Draw(t, "seed"), 1000)}
		k := rapid.IntRange(1, 8).Draw(t, "k")
		short, err := search.Run(t.Context(), Greedy{s}, model, blockmask.Mix, search.Goal{Blocks: k}, nil)
		if err != nil {
			t.Fatal(err)
		}
		long, err := search.Run(t.Context(), Greedy{s}, model, blockmask.Mix, search.Goal{Blocks: 9}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(short.Steps, long.Steps[:k]); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTiesGoToTheLowerLayerAndTheMixer(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(nil)}
	r, err := search.Run(t.Context(), Greedy{s}, searchtest.PlainModel(3), blockmask.Mix, search.Goal{Blocks: 5}, nil)
	if err != nil || searchtest.Order(r) != "attn:0 ffn:0 attn:1 ffn:1 attn:2 " {
		t.Errorf("all equal: %q, %v", searchtest.Order(r), err)
	}
}

func TestExplodingCandidatesAreNeverChosen(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{math.Inf(1), math.NaN(), math.Inf(-1)} {
		s := &searchtest.Synthetic{Of: searchtest.Costs(map[string]float64{"attn:0": bad, "ffn:0": bad, "attn:1": 9, "ffn:1": bad})}
		r, err := search.Run(t.Context(), Greedy{s}, searchtest.PlainModel(2), blockmask.Mix, search.Goal{Blocks: 1}, nil)
		if err != nil || searchtest.Order(r) != "attn:1 " {
			t.Errorf("%v: removed %q, %v", bad, searchtest.Order(r), err)
		}
		r, err = search.Run(t.Context(), Greedy{s}, searchtest.PlainModel(2), blockmask.Mix, search.Goal{Blocks: 2}, nil)
		if !errors.Is(err, search.ErrExploded) || searchtest.Order(r) != "attn:1 " {
			t.Errorf("%v: two steps: %q, %v", bad, searchtest.Order(r), err)
		}
	}
	broken := &searchtest.Synthetic{Of: func(blockmask.Mask) float64 { return math.Inf(1) }}
	r, err := search.Run(t.Context(), Greedy{broken}, searchtest.PlainModel(2), blockmask.Mix, search.Goal{Blocks: 1}, nil)
	if !errors.Is(err, search.ErrExploded) || !strings.Contains(err.Error(), "whole model") || len(r.Steps) != 0 {
		t.Errorf("broken model: %v", err)
	}
}

func TestCancelReturnsTheStepsSoFar(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &searchtest.Synthetic{Of: searchtest.Hashed(1, 1000)}
	full, err := search.Run(ctx, Greedy{s}, searchtest.PlainModel(4), blockmask.Mix, search.Goal{Blocks: 6}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s = &searchtest.Synthetic{Of: s.Of, After: func(calls int) {
		if calls == 3 {
			cancel()
		}
	}}
	r, err := search.Run(ctx, Greedy{s}, searchtest.PlainModel(4), blockmask.Mix, search.Goal{Blocks: 6}, nil)
	if !errors.Is(err, context.Canceled) || !cmp.Equal(r.Steps, full.Steps[:2]) || r.Base != full.Base {
		t.Errorf("cancelled in step 3: %q, %v", searchtest.Order(r), err)
	}
	s = &searchtest.Synthetic{Of: s.Of}
	r, err = search.Run(ctx, Greedy{s}, searchtest.PlainModel(4), blockmask.Mix, search.Goal{Blocks: 6}, nil)
	if !errors.Is(err, context.Canceled) || s.Calls != 0 || len(r.Steps) != 0 {
		t.Errorf("cancelled before: %d calls, %v", s.Calls, err)
	}
}

func TestScorerErrors(t *testing.T) {
	t.Parallel()
	r, err := search.Run(t.Context(), Greedy{&searchtest.Synthetic{Fail: searchtest.ErrEngine}}, searchtest.PlainModel(4), blockmask.Mix, search.Goal{Blocks: 6}, nil)
	if !errors.Is(err, searchtest.ErrEngine) || !strings.Contains(err.Error(), "step 1") || r == nil {
		t.Errorf("failing scorer: %v", err)
	}
	_, err = Greedy{short{}}.Choose(t.Context(), nil, []blockmask.Mask{searchtest.Mask(t, "ffn:1")})
	if err == nil || !strings.Contains(err.Error(), "0 scores for 1") {
		t.Errorf("short scorer: %v", err)
	}
}

type short struct{}

func (short) Score(context.Context, blockmask.Mask, []blockmask.Mask) (float64, []float64, error) {
	return 1, nil, nil
}

// The events tell the whole search in order.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := &searchtest.Synthetic{Of: searchtest.Costs(map[string]float64{"attn:0": 3, "ffn:0": 2, "attn:1": 1})}
	var got []string
	var progress []float64
	r, err := search.Run(t.Context(), Greedy{s}, searchtest.PlainModel(2), blockmask.Mix, search.Goal{Blocks: 2}, func(e search.Event) {
		switch e := e.(type) {
		case search.Started:
			got = append(got, "started "+e.Strategy+" "+string(e.Unit))
		case search.StepStarted:
			got = append(got, "step after "+e.Removed.String())
		case search.BaseScored:
			got = append(got, "base")
			if e.Score != 5 {
				t.Errorf("base %v", e.Score)
			}
		case search.CandidateScored:
			got = append(got, e.Candidate.String())
		case search.StepDone:
			got = append(got, "removed "+e.Step.Removed.String())
			progress = append(progress, e.Progress)
			if e.Base != 5 {
				t.Errorf("base %v in a step", e.Base)
			}
		case search.Finished:
			got = append(got, "finished")
		}
	})
	if err != nil || len(r.Steps) != 2 {
		t.Fatal(err)
	}
	want := []string{
		"started greedy mix", "step after ", "base", "attn:0", "ffn:0", "attn:1", "ffn:1", "removed ffn:1",
		"step after ffn:1", "attn:0", "ffn:0", "attn:1", "removed attn:1", "finished",
	}
	if !slices.Equal(got, want) || !slices.Equal(progress, []float64{0.5, 1}) {
		t.Errorf("events %q, progress %v", got, progress)
	}
}
