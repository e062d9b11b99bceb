package perplexity

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// klEngine predicts every token from its position alone, over a vocabulary of four, and flatter the more blocks are out. It makes
// references, and measures KL divergence with them by [kld.Divergence].
type klEngine struct {
	fakeEngine
	short   bool // gives one reference too few
	bad     bool // references that are no log-probabilities
	topKRun int
}

// logProbs is the model: the distribution over the vocabulary at position p.
func (e *klEngine) logProbs(p int, m blockmask.Mask) []float64 {
	logits := []float64{float64(p%3) * 2, 1, 0, -float64(p % 2)}
	sum := 0.0
	for i := range logits {
		logits[i] /= 1 + float64(len(m))
		sum += math.Exp(logits[i])
	}
	for i := range logits {
		logits[i] -= math.Log(sum)
	}
	return logits
}

func (e *klEngine) TopK(_ context.Context, batch []engine.Sequence, k int) ([]*engine.Reference, error) {
	e.topKRun += len(batch)
	var out []*engine.Reference
	for _, s := range batch {
		r := &engine.Reference{K: k}
		for p, t := range s.Targets {
			if t < 0 {
				continue
			}
			lp := e.logProbs(p, nil)
			order := []engine.Token{0, 1, 2, 3}
			slices.SortStableFunc(order, func(a, b engine.Token) int {
				if lp[a] > lp[b] {
					return -1
				}
				return 1
			})
			for _, id := range order[:k] {
				r.IDs, r.LogProbs = append(r.IDs, id), append(r.LogProbs, float32(lp[id]))
			}
		}
		if e.bad {
			r.LogProbs[0] = float32(math.NaN())
		}
		out = append(out, r)
	}
	if e.short {
		out = out[1:]
	}
	return out, nil
}

func newKLEngine(t *testing.T) *klEngine {
	e := &klEngine{fakeEngine: fakeEngine{t: t, batchTokens: 64, maxSeqs: 4}}
	e.loss = func(s engine.Sequence, p int, m blockmask.Mask) float64 {
		if s.Ref == nil {
			return -e.logProbs(p, m)[s.Targets[p]%4]
		}
		position := 0
		for _, t := range s.Targets[:p] {
			if t >= 0 {
				position++
			}
		}
		return kld.Divergence(s.Ref, position, e.logProbs(p, m))
	}
	return e
}

func smallSet(t *testing.T) *Set {
	t.Helper()
	set, err := NewSet(Samples, &Corpus{Name: "x", Documents: []string{"abcdefgh", "ijkl", "mnopqrstuvw", "xyz and more of it"}}, withBOSTok, SetOptions{Context: 16})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestDivergenceIsZeroForTheModelItself(t *testing.T) {
	t.Parallel()
	for k := 1; k <= 4; k++ {
		e := newKLEngine(t)
		set := smallSet(t)
		calls := []int{}
		kl, err := WithReferences(t.Context(), e, set, k, func(done int) { calls = append(calls, done) })
		if err != nil {
			t.Fatal(err)
		}
		if kl.Metric != KLD || set.Metric != NLL || set.Sequences[0].Ref != nil || e.topKRun != 4 || calls[len(calls)-1] != 4 {
			t.Errorf("k=%d: metric %v of %v, %d runs, progress %v", k, kl.Metric, set.Metric, e.topKRun, calls)
		}
		v, err := NewEvaluator(e, kl)
		if err != nil {
			t.Fatal(err)
		}
		base, scores, err := v.Score(t.Context(), nil, []blockmask.Mask{blockmask.New(blockmask.Block{}), blockmask.New(blockmask.Block{}, blockmask.Block{Layer: 1})})
		if err != nil || base > 1e-6 || !(scores[0] > 0.01) || !(scores[1] > scores[0]) {
			t.Errorf("k=%d: the model diverges by %v from itself, by %v pruned, %v", k, base, scores, err)
		}
		if known, ok := v.Known(); !ok || known != 0 || v.OfMean(.3) != .3 {
			t.Errorf("known %v %v", known, ok)
		}
		if _, err := v.Estimate(t.Context(), nil, nil); err == nil {
			t.Error("an estimate of perplexity from divergences")
		}
	}
}

func TestScoreOfDivergences(t *testing.T) {
	t.Parallel()
	set := &Set{Convention: Samples, Metric: KLD}
	if got := set.Score([]Sum{{NLL: math.Inf(1), Count: 2}, {NLL: 1, Count: 1}}); !math.IsInf(got, 1) {
		t.Errorf("score %v", got)
	}
	if got := set.Score([]Sum{{NLL: 3, Count: 2}, {NLL: 1, Count: 2}}); got != 1 {
		t.Errorf("score %v, want the mean 1", got)
	}
}

func TestReferencesAreChecked(t *testing.T) {
	t.Parallel()
	e := newKLEngine(t)
	e.short = true
	if _, err := WithReferences(t.Context(), e, smallSet(t), 2, nil); err == nil || !strings.Contains(err.Error(), "references for") {
		t.Errorf("too few: %v", err)
	}
	e = newKLEngine(t)
	e.bad = true
	if _, err := WithReferences(t.Context(), e, smallSet(t), 2, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("NaN: %v", err)
	}
	if _, err := WithReferences(t.Context(), &fakeEngine{t: t, batchTokens: 64, maxSeqs: 4}, smallSet(t), 2, nil); err == nil {
		t.Error("an engine without references")
	}
}

// What is printed beforehand is what the references take.
func TestReferenceBytes(t *testing.T) {
	t.Parallel()
	e := newKLEngine(t)
	set, err := WithReferences(t.Context(), e, smallSet(t), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, s := range set.Sequences {
		bytes += 4*len(s.Ref.IDs) + 4*len(s.Ref.LogProbs)
	}
	if got := ReferenceBytes(set, 3); got != int64(bytes) || bytes == 0 {
		t.Errorf("told %d bytes, took %d", got, bytes)
	}
}

func TestParseMetric(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Metric{"ppl": NLL, "KLD": KLD} {
		if got, err := ParseMetric(in); err != nil || got != want || got.String() != strings.ToLower(in) {
			t.Errorf("ParseMetric(%q) = %q, %v", in, got, err)
		}
	}
	if _, err := ParseMetric("accuracy"); err == nil {
		t.Error("no error")
	}
}

// brancher can leave out the base.
type brancher struct {
	fakeEngine
	without int
}

func (b *brancher) EvalCandidates(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
	yield func(i int, nll [][]float64) error,
) error {
	b.without++
	return b.Eval(ctx, batch, removed, candidates, func(i int, nll [][]float64) error {
		if i < 0 {
			return nil
		}
		return yield(i, nll)
	})
}

// A batch's losses, folded, are the score; with and without a base, on either kind of engine.
func TestLossesFoldToTheScore(t *testing.T) {
	t.Parallel()
	for _, branches := range []bool{false, true} {
		for _, base := range []bool{false, true} {
			set := smallSet(t)
			fake := fakeEngine{t: t, batchTokens: 64, maxSeqs: 2}
			b := &brancher{fakeEngine: fake}
			var runner engine.Runner = &fake
			if branches {
				runner = b
			}
			v, err := NewEvaluator(runner, set)
			if err != nil {
				t.Fatal(err)
			}
			if v.Branches() != branches || v.Sequences() != 4 {
				t.Fatalf("branches %v, %d sequences", v.Branches(), v.Sequences())
			}
			cands := []blockmask.Mask{blockmask.New(blockmask.Block{Layer: 1}), blockmask.New(blockmask.Block{Layer: 2})}
			which := []int{3, 0, 2}
			batches, err := v.Batches(which)
			if err != nil {
				t.Fatal(err)
			}
			losses := map[int][]float64{}
			var order []int
			var runs []int
			v.OnProgress = func(p Progress) { runs = append(runs, p.Candidate) }
			for _, batch := range batches {
				order = append(order, batch...)
				err := v.Losses(t.Context(), batch, nil, cands, base, func(i int, l []float64) error {
					losses[i] = append(losses[i], l...)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			want, sums, err := v.Sums(t.Context(), nil, cands, which)
			if err != nil {
				t.Fatal(err)
			}
			if base && !near(v.Fold(order, losses[-1]), set.Score(want)) || !base && losses[-1] != nil {
				t.Errorf("base %v: %v", base, losses[-1])
			}
			for i := range cands {
				if !near(v.Fold(order, losses[i]), set.Score(sums[i])) {
					t.Errorf("candidate %d folds to %v, want %v", i, v.Fold(order, losses[i]), set.Score(sums[i]))
				}
			}
			if used := b.without > 0; used != (branches && !base) {
				t.Errorf("branches %v, base %v: EvalCandidates called %d times", branches, base, b.without)
			}
			stop := errors.New("stop")
			if err := v.Losses(t.Context(), batches[0], nil, cands, base, func(int, []float64) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("stopped: %v", err)
			}
			if tokens, scored := v.Size(2); tokens != 12 || scored != 11 {
				t.Errorf("size of a sequence: %d tokens, %d scored", tokens, scored)
			}
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(a)) }
