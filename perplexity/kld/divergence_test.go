package kld

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/engine"
)

// With all of the vocabulary among the top tokens, the divergence is the sum over the vocabulary; with fewer it is never more.
func TestDivergenceAgainstTheDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "vocabulary")
		p, q := genLogProbs(t, n), genLogProbs(t, n)
		order := make([]engine.Token, n)
		for i := range order {
			order[i] = engine.Token(i)
		}
		slices.SortFunc(order, func(a, b engine.Token) int {
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
			r := &engine.Reference{K: k}
			for _, id := range order[:k] {
				r.IDs, r.LogProbs = append(r.IDs, id), append(r.LogProbs, float32(p[id]))
			}
			got := Divergence(r, 0, q)
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
	t.Parallel()
	r := &engine.Reference{K: 1, IDs: []engine.Token{0}, LogProbs: []float32{-.1}}
	for _, q := range [][]float64{{math.NaN(), 0}, {math.Inf(-1), 0}} {
		if got := Divergence(r, 0, q); !math.IsInf(got, 1) {
			t.Errorf("%v: %v", q, got)
		}
	}
	if got := Divergence(r, 0, []float64{0, math.Inf(-1)}); !(got > 1) || math.IsInf(got, 0) {
		t.Errorf("no probability left for the rest: %v", got)
	}
}

// A token that the reference deems impossible adds nothing, whatever the model says of it; one that only the model does adds infinity.
func TestTerm(t *testing.T) {
	t.Parallel()
	none := math.Inf(-1)
	for _, c := range []struct{ p, q, want float64 }{
		{none, none, 0},
		{none, -1, 0},
		{-1, none, math.Inf(1)},
		{0, -2, 2},
		{math.Log(0.5), math.Log(0.25), 0.5 * math.Ln2},
	} {
		if got := Term(c.p, c.q); got != c.want && !(math.Abs(got-c.want) < 1e-15) {
			t.Errorf("Term(%v, %v) = %v, want %v", c.p, c.q, got, c.want)
		}
	}
}
