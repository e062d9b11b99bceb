package llamabind_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/engine"
)

// However a stock session cuts its sequences into decodes and graphs, the losses are the whole's but for rounding, and a graph is never
// larger than a decode: a -ub above -b gives the bits of one that is equal to it. That all digits are llama-perplexity's is tested
// beside that program (internal/peertest).
func TestPieces(t *testing.T) {
	m := load(t)
	batch := sequences(t, m, 40)
	type tester interface {
		Context() context.Context
		Fatal(args ...any)
		Fatalf(format string, args ...any)
	}
	nll := func(t tester, b, ub int) []float64 {
		s, err := m.NewSession(t.Context(), engine.SessionParams{NSeq: 1, SeqLen: 40, Threads: 1, Unedited: true, Batch: b, UBatch: ub})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rows, err := s.EvalPlain(t.Context(), batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		logits := 0
		if err := s.Logits(t.Context(), batch, nil, func(int, int, []float32) error { logits++; return nil }); err != nil || logits != 39 {
			t.Fatalf("%d rows of logits, %v", logits, err)
		}
		return slices.Clone(rows[0])
	}
	whole := nll(t, 0, 0)
	rapid.Check(t, func(t *rapid.T) {
		b, ub := rapid.IntRange(1, 45).Draw(t, "b"), rapid.IntRange(1, 45).Draw(t, "ub")
		got := nll(t, b, ub)
		for i := range whole {
			if math.Abs(got[i]-whole[i]) > 0.15 {
				t.Fatalf("position %d: %v, in one piece %v", i, got[i], whole[i])
			}
		}
		if ub > b && !slices.Equal(got, nll(t, b, b)) {
			t.Fatal("a graph of more than -b tokens")
		}
	})
}
