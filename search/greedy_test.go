package search

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
)

// bruteForce is the paper's loop written down anew: no candidates' order, no batches, no shared code. It tries the blocks
// (or layers) that are left one by one, backwards, and breaks ties explicitly.
func bruteForce(m *Model, unit blockmask.Unit, score func(blockmask.Mask) float64, blocks int) (steps []blockmask.Mask) {
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
func nextTwo(m *Model, gone map[blockmask.Block]bool, i int) []blockmask.Block {
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
	rapid.Check(t, func(t *rapid.T) {
		model := plainModel(rapid.IntRange(2, 7).Draw(t, "layers"))
		unit := rapid.SampledFrom(blockmask.Units()).Draw(t, "unit")
		values := rapid.SampledFrom([]int{1, 3, 20, 1 << 40}).Draw(t, "values")
		score := hashed(rapid.Uint64().Draw(t, "seed"), values)
		blocks := rapid.IntRange(1, len(model.most(unit))).Draw(t, "blocks")
		if unit == blockmask.Whole || unit == blockmask.Pairs {
			blocks += blocks % 2
		}
		s := &synthetic{score: score}
		got, err := Run(t.Context(), Greedy{s}, model, unit, Goal{Blocks: blocks}, nil)
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
		if got.Base != score(nil) || s.calls != len(steps) || !got.Removed().Equal(removed) {
			t.Fatalf("base %v after %d calls", got.Base, s.calls)
		}
	})
}

// checkStep holds a step's numbers against their definitions.
func checkStep(t *rapid.T, model *Model, score func(blockmask.Mask) float64, i int, step Step, before blockmask.Mask) {
	after := before.Union(step.Removed)
	size, err := model.Size(after)
	if err != nil {
		t.Fatal(err)
	}
	if step.Index != i+1 || step.Score != score(after) || step.ParamsRemoved != model.ParamsOf(after) || step.Size != size ||
		!near(step.Ratio, float64(model.ParamsOf(after))/float64(model.Total)) {
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
	rapid.Check(t, func(t *rapid.T) {
		model := plainModel(5)
		s := &synthetic{score: hashed(rapid.Uint64().Draw(t, "seed"), 1000)}
		k := rapid.IntRange(1, 8).Draw(t, "k")
		short, err := Run(t.Context(), Greedy{s}, model, blockmask.Mix, Goal{Blocks: k}, nil)
		if err != nil {
			t.Fatal(err)
		}
		long, err := Run(t.Context(), Greedy{s}, model, blockmask.Mix, Goal{Blocks: 9}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(short.Steps, long.Steps[:k]); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTiesGoToTheLowerLayerAndTheMixer(t *testing.T) {
	s := &synthetic{score: costs(nil)}
	r, err := Run(t.Context(), Greedy{s}, plainModel(3), blockmask.Mix, Goal{Blocks: 5}, nil)
	if err != nil || order(r) != "attn:0 ffn:0 attn:1 ffn:1 attn:2 " {
		t.Errorf("all equal: %q, %v", order(r), err)
	}
}

func TestExplodingCandidatesAreNeverChosen(t *testing.T) {
	for _, bad := range []float64{math.Inf(1), math.NaN(), math.Inf(-1)} {
		s := &synthetic{score: costs(map[string]float64{"attn:0": bad, "ffn:0": bad, "attn:1": 9, "ffn:1": bad})}
		r, err := Run(t.Context(), Greedy{s}, plainModel(2), blockmask.Mix, Goal{Blocks: 1}, nil)
		if err != nil || order(r) != "attn:1 " {
			t.Errorf("%v: removed %q, %v", bad, order(r), err)
		}
		r, err = Run(t.Context(), Greedy{s}, plainModel(2), blockmask.Mix, Goal{Blocks: 2}, nil)
		if !errors.Is(err, ErrExploded) || order(r) != "attn:1 " {
			t.Errorf("%v: two steps: %q, %v", bad, order(r), err)
		}
	}
	broken := &synthetic{score: func(blockmask.Mask) float64 { return math.Inf(1) }}
	r, err := Run(t.Context(), Greedy{broken}, plainModel(2), blockmask.Mix, Goal{Blocks: 1}, nil)
	if !errors.Is(err, ErrExploded) || !strings.Contains(err.Error(), "whole model") || len(r.Steps) != 0 {
		t.Errorf("broken model: %v", err)
	}
}

func TestCancelReturnsTheStepsSoFar(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &synthetic{score: hashed(1, 1000)}
	full, err := Run(ctx, Greedy{s}, plainModel(4), blockmask.Mix, Goal{Blocks: 6}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s = &synthetic{score: s.score, after: func(calls int) {
		if calls == 3 {
			cancel()
		}
	}}
	r, err := Run(ctx, Greedy{s}, plainModel(4), blockmask.Mix, Goal{Blocks: 6}, nil)
	if !errors.Is(err, context.Canceled) || !cmp.Equal(r.Steps, full.Steps[:2]) || r.Base != full.Base {
		t.Errorf("cancelled in step 3: %q, %v", order(r), err)
	}
	s = &synthetic{score: s.score}
	r, err = Run(ctx, Greedy{s}, plainModel(4), blockmask.Mix, Goal{Blocks: 6}, nil)
	if !errors.Is(err, context.Canceled) || s.calls != 0 || len(r.Steps) != 0 {
		t.Errorf("cancelled before: %d calls, %v", s.calls, err)
	}
}

func TestScorerErrors(t *testing.T) {
	r, err := Run(t.Context(), Greedy{&synthetic{fail: errEngine}}, plainModel(4), blockmask.Mix, Goal{Blocks: 6}, nil)
	if !errors.Is(err, errEngine) || !strings.Contains(err.Error(), "step 1") || r == nil {
		t.Errorf("failing scorer: %v", err)
	}
	_, err = Greedy{short{}}.Choose(t.Context(), nil, []blockmask.Mask{mask(t, "ffn:1")})
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
	s := &synthetic{score: costs(map[string]float64{"attn:0": 3, "ffn:0": 2, "attn:1": 1})}
	var got []string
	var progress []float64
	r, err := Run(t.Context(), Greedy{s}, plainModel(2), blockmask.Mix, Goal{Blocks: 2}, func(e Event) {
		switch e := e.(type) {
		case Started:
			got = append(got, "started "+e.Strategy+" "+string(e.Unit))
		case StepStarted:
			got = append(got, "step after "+e.Removed.String())
		case BaseScored:
			got = append(got, "base")
			if e.Score != 5 {
				t.Errorf("base %v", e.Score)
			}
		case CandidateScored:
			got = append(got, e.Candidate.String())
		case StepDone:
			got = append(got, "removed "+e.Step.Removed.String())
			progress = append(progress, e.Progress)
			if e.Base != 5 {
				t.Errorf("base %v in a step", e.Base)
			}
		case Finished:
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
