package perplexity

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

func mask(t *testing.T, s string) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func variedDocs(n int) *Corpus {
	var d []string
	for i := range n {
		d = append(d, strings.Repeat("abcdefg"[i%7:i%7+1], 3+i*37%29))
	}
	return docs(d...)
}

// The plain way to both conventions, straight from their definitions, without batches.
func plainPPL(s *Set, m blockmask.Mask) float64 {
	var total, means float64
	var count int
	for _, seq := range s.Sequences {
		var sum float64
		var n int
		for p, target := range seq.Targets {
			if target >= 0 {
				sum += hashLoss(seq, p, m)
				n++
			}
		}
		total, count, means = total+sum, count+n, means+sum/float64(n)
	}
	if s.Convention == Windows {
		return math.Exp(total / float64(count))
	}
	return math.Exp(means / float64(len(s.Sequences)))
}

func TestScoreIsThePlainDefinition(t *testing.T) {
	t.Parallel()
	removed := mask(t, "attn:1")
	cands := []blockmask.Mask{mask(t, "ffn:0"), mask(t, "attn:0,ffn:3"), mask(t, "ffn:2")}
	for _, conv := range []Convention{Samples, Windows} {
		set := mustSet(t, conv, variedDocs(20), withBOSTok, SetOptions{Context: 24})
		v, err := NewEvaluator(&fakeEngine{t: t, batchTokens: 100, maxSeqs: 4}, set)
		if err != nil {
			t.Fatal(err)
		}
		base, scores, err := v.Score(t.Context(), removed, cands)
		if err != nil {
			t.Fatal(err)
		}
		if want := plainPPL(set, removed); math.Abs(base-want) > 1e-12*want {
			t.Errorf("%s base: %v, want %v", conv, base, want)
		}
		for i, c := range cands {
			if want := plainPPL(set, removed.Union(c)); math.Abs(scores[i]-want) > 1e-12*want {
				t.Errorf("%s candidate %v: %v, want %v", conv, c, scores[i], want)
			}
		}
	}
}

// Fast path (packed batches) against plain path (one sequence at a time): the same bits, whatever the limits.
func TestResultsDoNotDependOnPacking(t *testing.T) {
	t.Parallel()
	set := mustSet(t, Samples, variedDocs(15), withBOSTok, SetOptions{Context: 24})
	cands := []blockmask.Mask{mask(t, "ffn:0"), mask(t, "ffn:2")}
	one, err := NewEvaluator(&fakeEngine{t: t, batchTokens: 24, maxSeqs: 1}, set)
	if err != nil {
		t.Fatal(err)
	}
	wantBase, want, err := one.Score(t.Context(), nil, cands)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		e := &fakeEngine{t: t, batchTokens: rapid.IntRange(24, 400).Draw(rt, "tokens"), maxSeqs: rapid.IntRange(1, 20).Draw(rt, "seqs")}
		v, err := NewEvaluator(e, set)
		if err != nil {
			rt.Fatal(err)
		}
		base, got, err := v.Score(t.Context(), nil, cands)
		if err != nil || base != wantBase || !slices.Equal(got, want) {
			rt.Fatalf("Score = %v %v %v, want %v %v", base, got, err, wantBase, want)
		}
		est, err := v.Estimate(t.Context(), nil, nil)
		if err != nil || est.PPL != wantBase || est.Scored != set.Scored() {
			rt.Fatalf("Estimate = %+v, %v", est, err)
		}
	})
}

func TestPack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var seqs []engine.Sequence
		for _, n := range rapid.SliceOfN(rapid.IntRange(2, 30), 1, 40).Draw(t, "lengths") {
			seqs = append(seqs, predictNext(make([]engine.Token, n), 0))
		}
		all := ordered(len(seqs), 0)
		maxTokens, maxSeqs := rapid.IntRange(30, 200).Draw(t, "tokens"), rapid.IntRange(1, 9).Draw(t, "seqs")
		batches, err := pack(seqs, all, maxTokens, maxSeqs)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(batches...)
		for i := 1; i < len(got); i++ {
			a, b := len(seqs[got[i-1]].Tokens), len(seqs[got[i]].Tokens)
			if a < b || a == b && got[i-1] > got[i] {
				t.Fatalf("%v is not long to short in order", got)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, all) {
			t.Fatalf("batches hold %v", got)
		}
		for _, b := range batches {
			if longest := len(seqs[b[0]].Tokens); len(b) > maxSeqs || len(b)*longest > maxTokens {
				t.Fatalf("batch %v of %d tokens breaks %d, %d", b, longest, maxSeqs, maxTokens)
			}
		}
	})
	if _, err := pack([]engine.Sequence{predictNext(make([]engine.Token, 31), 0)}, []int{0}, 30, 1); err == nil || !strings.Contains(err.Error(), "raise -b") {
		t.Errorf("too long a sequence: %v", err)
	}
}

// A subset's sums are the whole's, and paired differences can be taken sequence by sequence.
func TestSumsOfASubset(t *testing.T) {
	t.Parallel()
	set := mustSet(t, Samples, variedDocs(12), withBOSTok, SetOptions{Context: 24})
	v, err := NewEvaluator(&fakeEngine{t: t, batchTokens: 60, maxSeqs: 3}, set)
	if err != nil {
		t.Fatal(err)
	}
	cands := []blockmask.Mask{mask(t, "ffn:0"), mask(t, "ffn:2")}
	base, all, err := v.Sums(t.Context(), nil, cands, ordered(12, 0))
	if err != nil {
		t.Fatal(err)
	}
	which := []int{7, 2, 11}
	subBase, sub, err := v.Sums(t.Context(), nil, cands, which)
	if err != nil {
		t.Fatal(err)
	}
	for j, s := range which {
		if subBase[j] != base[s] || sub[0][j] != all[0][s] || sub[1][j] != all[1][s] {
			t.Errorf("sequence %d: subset has %v %v %v", s, subBase[j], sub[0][j], sub[1][j])
		}
		if base[s].Count != set.Sequences[s].Scored() {
			t.Errorf("sequence %d counts %d", s, base[s].Count)
		}
	}
}

func TestExplodingMaskScoresInf(t *testing.T) {
	t.Parallel()
	for _, conv := range []Convention{Samples, Windows} {
		for _, bad := range []float64{math.Inf(1), math.NaN(), math.Inf(-1)} {
			set := mustSet(t, conv, variedDocs(12), withBOSTok, SetOptions{Context: 16})
			target := set.Sequences[3]
			e := &fakeEngine{t: t, batchTokens: 100, maxSeqs: 4, loss: func(seq engine.Sequence, p int, m blockmask.Mask) float64 {
				if m.Len() > 0 && p == len(seq.Tokens)-2 && slices.Equal(seq.Tokens, target.Tokens) {
					return bad
				}
				return 1
			}}
			v, err := NewEvaluator(e, set)
			if err != nil {
				t.Fatal(err)
			}
			base, scores, err := v.Score(t.Context(), nil, []blockmask.Mask{mask(t, "ffn:0")})
			if err != nil || math.Abs(base-math.E) > 1e-12 || !math.IsInf(scores[0], 1) {
				t.Errorf("%s %v: base %v, scores %v, %v", conv, bad, base, scores, err)
			}
			est, err := v.Estimate(t.Context(), mask(t, "ffn:0"), nil)
			if err != nil || !math.IsInf(est.PPL, 1) || !math.IsNaN(est.StdErr) {
				t.Errorf("%s %v: %+v, %v", conv, bad, est, err)
			}
		}
	}
}

func TestProgressCountsEveryRun(t *testing.T) {
	t.Parallel()
	set := mustSet(t, Samples, variedDocs(12), withBOSTok, SetOptions{Context: 24})
	e := &fakeEngine{t: t, batchTokens: 60, maxSeqs: 3}
	v, err := NewEvaluator(e, set)
	if err != nil {
		t.Fatal(err)
	}
	var seen []Progress
	v.OnProgress = func(p Progress) { seen = append(seen, p) }
	if _, _, err := v.Score(t.Context(), nil, []blockmask.Mask{mask(t, "ffn:0"), mask(t, "ffn:2")}); err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for i, p := range seen {
		tokens += p.Tokens
		if p.Done != i+1 || p.Total != len(seen) || p.Candidate != i%3-1 {
			t.Errorf("progress %d = %+v of %d", i, p, len(seen))
		}
	}
	if len(seen) != 3*e.evals || tokens != 3*set.Tokens() {
		t.Errorf("%d reports of %d tokens in %d batches", len(seen), tokens, e.evals)
	}
}

func TestCancelStopsBetweenRuns(t *testing.T) {
	t.Parallel()
	set := mustSet(t, Samples, variedDocs(12), withBOSTok, SetOptions{Context: 24})
	e := &fakeEngine{t: t, batchTokens: 60, maxSeqs: 3}
	v, err := NewEvaluator(e, set)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	v.OnProgress = func(Progress) {
		if runs++; runs == 2 {
			cancel()
		}
	}
	_, _, err = v.Score(ctx, nil, []blockmask.Mask{mask(t, "ffn:0"), mask(t, "ffn:2")})
	if !errors.Is(err, context.Canceled) || runs != 2 {
		t.Errorf("after cancelling in run 2: %d runs, %v", runs, err)
	}
	if _, err := v.Estimate(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Estimate: %v", err)
	}
}

func TestEngineThatReportsTooLittleIsAnError(t *testing.T) {
	t.Parallel()
	set := mustSet(t, Samples, variedDocs(12), withBOSTok, SetOptions{Context: 24})
	v, err := NewEvaluator(&fakeEngine{t: t, batchTokens: 60, maxSeqs: 3, badRun: true}, set)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Score(t.Context(), nil, []blockmask.Mask{mask(t, "ffn:0")}); err == nil || !strings.Contains(err.Error(), "1 of 2 runs") {
		t.Errorf("Score: %v", err)
	}
}

func TestNewEvaluatorErrors(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{t: t, batchTokens: 16, maxSeqs: 3}
	if _, err := NewEvaluator(e, &Set{Corpus: "c"}); err == nil || !strings.Contains(err.Error(), "no sequence") {
		t.Errorf("empty set: %v", err)
	}
	set := mustSet(t, Windows, text(100), withBOSTok, SetOptions{Context: 32})
	if _, err := NewEvaluator(e, set); err == nil || !strings.Contains(err.Error(), "32 tokens does not fit a batch of 16") {
		t.Errorf("long window: %v", err)
	}
}
