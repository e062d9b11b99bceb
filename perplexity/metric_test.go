package perplexity

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// klEngine predicts every token from its position alone, over a vocabulary of four, and flatter the more blocks are out. It makes
// references, and measures KL divergence with them by [Reference.Divergence].
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

func (e *klEngine) TopK(_ context.Context, batch []Sequence, k int) ([]*Reference, error) {
	e.topKRun += len(batch)
	var out []*Reference
	for _, s := range batch {
		r := &Reference{K: k}
		for p, t := range s.Targets {
			if t < 0 {
				continue
			}
			lp := e.logProbs(p, nil)
			order := []Token{0, 1, 2, 3}
			slices.SortStableFunc(order, func(a, b Token) int {
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
	e.loss = func(s Sequence, p int, m blockmask.Mask) float64 {
		if s.Ref == nil {
			return -e.logProbs(p, m)[s.Targets[p]%4]
		}
		position := 0
		for _, t := range s.Targets[:p] {
			if t >= 0 {
				position++
			}
		}
		return s.Ref.Divergence(position, e.logProbs(p, m))
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
		d, err := v.Divergence(t.Context(), blockmask.New(blockmask.Block{}))
		if err != nil || d.Scored != set.Scored() || !(d.Median <= d.P99 && d.P99 <= d.P999 && d.P999 <= d.Max) || d.StdErr <= 0 {
			t.Errorf("k=%d: %+v, %v", k, d, err)
		}
	}
}

// With all of the vocabulary among the top tokens, the divergence is the sum over the vocabulary; with fewer it is never more.
func TestDivergenceAgainstTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "vocabulary")
		p, q := genLogProbs(t, n), genLogProbs(t, n)
		order := make([]Token, n)
		for i := range order {
			order[i] = Token(i)
		}
		slices.SortFunc(order, func(a, b Token) int {
			if p[a] > p[b] {
				return -1
			}
			return 1
		})
		full := 0.0
		for i := range p {
			full += math.Exp(p[i]) * (p[i] - q[i])
		}
		last := -1.0
		for k := 1; k <= n; k++ {
			r := &Reference{K: k}
			for _, id := range order[:k] {
				r.IDs, r.LogProbs = append(r.IDs, id), append(r.LogProbs, float32(p[id]))
			}
			got := r.Divergence(0, q)
			if got < last-1e-4 || got > full+1e-4 {
				t.Fatalf("k=%d: %v after %v, in full %v", k, got, last, full)
			}
			last = got
		}
		if math.Abs(last-full) > 1e-4 {
			t.Fatalf("%v, by definition %v", last, full)
		}
	})
}

func genLogProbs(t *rapid.T, n int) []float64 {
	x := rapid.SliceOfN(rapid.Float64Range(-4, 4), n, n).Draw(t, "logits")
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v)
	}
	for i := range x {
		x[i] -= math.Log(sum)
	}
	return x
}

func TestDivergenceOfABrokenModel(t *testing.T) {
	r := &Reference{K: 1, IDs: []Token{0}, LogProbs: []float32{-.1}}
	for _, q := range [][]float64{{math.NaN(), 0}, {math.Inf(-1), 0}} {
		if got := r.Divergence(0, q); !math.IsInf(got, 1) {
			t.Errorf("%v: %v", q, got)
		}
	}
	if got := r.Divergence(0, []float64{0, math.Inf(-1)}); !(got > 1) || math.IsInf(got, 0) {
		t.Errorf("no probability left for the rest: %v", got)
	}
	set := &Set{Convention: Samples, Metric: KLD}
	if got := set.Score([]Sum{{NLL: math.Inf(1), Count: 2}, {NLL: 1, Count: 1}}); !math.IsInf(got, 1) {
		t.Errorf("score %v", got)
	}
	if got := set.Score([]Sum{{NLL: 3, Count: 2}, {NLL: 1, Count: 2}}); got != 1 {
		t.Errorf("score %v, want the mean 1", got)
	}
}

func TestReferencesAreChecked(t *testing.T) {
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
	v, err := NewEvaluator(e, smallSet(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Divergence(t.Context(), nil); err == nil {
		t.Error("divergence without references")
	}
}

// What is printed beforehand is what the references take.
func TestReferenceBytes(t *testing.T) {
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
	for in, want := range map[string]Metric{"ppl": NLL, "KLD": KLD} {
		if got, err := ParseMetric(in); err != nil || got != want || got.String() != strings.ToLower(in) {
			t.Errorf("ParseMetric(%q) = %q, %v", in, got, err)
		}
	}
	if _, err := ParseMetric("accuracy"); err == nil {
		t.Error("no error")
	}
}

// Thinning keeps a part of the positions, the same for the same seed, with their references.
func TestThin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newKLEngine(t)
		set, err := WithReferences(t.Context(), e, smallSet(t), 2, nil)
		if err != nil {
			rt.Fatal(err)
		}
		part := rapid.Float64Range(0, 1).Draw(rt, "part")
		seed := rapid.Uint64().Draw(rt, "seed")
		thinned := Thin(set, part, seed)
		if diff := cmp.Diff(thinned, Thin(set, part, seed)); diff != "" {
			rt.Fatal(diff)
		}
		for i, s := range thinned.Sequences {
			whole := set.Sequences[i]
			want := max(1, int(math.Round(part*float64(whole.Scored()))))
			if s.Scored() != want || !slices.Equal(s.Tokens, whole.Tokens) || s.Ref.check(s) != nil {
				rt.Fatalf("sequence %d: %d of %d scored, want %d", i, s.Scored(), whole.Scored(), want)
			}
			at, k := 0, 0
			for p, target := range whole.Targets {
				if target < 0 {
					continue
				}
				if s.Targets[p] >= 0 {
					if s.Targets[p] != target || s.Ref.IDs[2*k] != whole.Ref.IDs[2*at] || s.Ref.LogProbs[2*k+1] != whole.Ref.LogProbs[2*at+1] {
						rt.Fatalf("sequence %d position %d has another target or reference", i, p)
					}
					k++
				}
				at++
			}
		}
	})
	set := smallSet(t)
	if diff := cmp.Diff(set, Thin(set, 1, 5)); diff != "" {
		t.Errorf("all positions:\n%s", diff)
	}
	if Thin(set, .5, 1).SHA256() == Thin(set, .5, 2).SHA256() {
		t.Error("two seeds choose the same positions")
	}
}

// The best part has the least cost times variance of all.
func TestBestPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) float64 { return rapid.Float64Range(.01, 100).Draw(t, name) }
		blocks, head, between, within := draw("blocks"), draw("head"), draw("between"), draw("within")
		value := func(part float64) float64 { return (blocks + part*head) * (between + within/part) }
		best := BestPart(blocks, head, between, within)
		if !(best > 0 && best <= 1) {
			t.Fatal(best)
		}
		for part := 0.01; part <= 1; part += 0.01 {
			if value(part) < value(best)*(1-1e-9) {
				t.Fatalf("%v is better than %v", part, best)
			}
		}
	})
	for _, p := range []float64{BestPart(1, 0, 1, 1), BestPart(1, 1, 0, 1), BestPart(1, 1, math.NaN(), 1)} {
		if p != 1 {
			t.Errorf("best part %v, want all", p)
		}
	}
}

// brancher can leave out the base.
type brancher struct {
	fakeEngine
	without int
}

func (b *brancher) EvalCandidates(ctx context.Context, batch []Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
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
	for _, branches := range []bool{false, true} {
		for _, base := range []bool{false, true} {
			set := smallSet(t)
			fake := fakeEngine{t: t, batchTokens: 64, maxSeqs: 2}
			b := &brancher{fakeEngine: fake}
			var engine Engine = &fake
			if branches {
				engine = b
			}
			v, err := NewEvaluator(engine, set)
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
