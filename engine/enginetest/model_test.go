package enginetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// A mask that keeps a part of a block is refused wherever a session takes one, among candidates too. It must not be measured as if the
// whole block were gone.
func TestPartsAreRefused(t *testing.T) {
	t.Parallel()
	m, err := Runtime{}.Load(t.Context(), "../../testdata/tiny-11m-Q8_0.gguf", engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession(t.Context(), engine.SessionParams{NSeq: 1, SeqLen: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kept, err := blockmask.NewIndices([]int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	ffn := engine.Block{Layer: 1, Kind: engine.FFN}
	part := blockmask.Of(engine.Cut{Block: ffn, Channels: kept})
	batch := []engine.Sequence{{Tokens: []engine.Token{1, 5}, Targets: []engine.Token{5, 6}}}
	nothing := func(int, [][]float64) error { return nil }
	for name, measure := range map[string]func(ctx context.Context, m engine.Mask) error{
		"base": func(ctx context.Context, m engine.Mask) error { return s.Eval(ctx, batch, m, nil, nothing) },
		"candidate": func(ctx context.Context, m engine.Mask) error {
			return s.Eval(ctx, batch, nil, []engine.Mask{m}, nothing)
		},
		"plain": func(ctx context.Context, m engine.Mask) error {
			_, err := s.EvalPlain(ctx, batch, m)
			return err
		},
		"logits": func(ctx context.Context, m engine.Mask) error {
			return s.Logits(ctx, batch, m, func(int, int, []float32) error { return nil })
		},
	} {
		var e *engine.Error
		if err := measure(t.Context(), part); !errors.As(err, &e) || e.Code != engine.BadInput || !strings.Contains(e.Text, "ffn:1=2 keeps a part") {
			t.Errorf("%s of a part: %v", name, err)
		}
		if err := measure(t.Context(), blockmask.New(ffn)); err != nil {
			t.Errorf("%s of a whole block: %v", name, err)
		}
	}
}

// A file that lacks a part of a block is no model of this runtime's, which could only take it for the whole one.
func TestFilesWithPartsAreRefused(t *testing.T) {
	t.Parallel()
	kept, err := blockmask.NewIndices([]int{0, 2})
	if err != nil {
		t.Fatal(err)
	}
	ffn := engine.Block{Layer: 1, Kind: engine.FFN}
	for mask, want := range map[string]string{
		blockmask.New(ffn).Key():                                   "",
		blockmask.Of(engine.Cut{Block: ffn, Channels: kept}).Key(): "ffn:1=2 keeps a part",
	} {
		path := gguftest.Write(t, t.TempDir(), "m.gguf", gguftest.Model{
			KVs:     []gguftest.KV{{Key: "general.architecture", Value: "test"}, {Key: "ggufprune.mask", Value: mask}},
			Tensors: []gguftest.Tensor{{Name: "blk.0.ffn_down.weight", Dims: []uint64{1}, Data: make([]byte, 4)}},
		})
		m, err := Runtime{}.Load(t.Context(), path, engine.ModelParams{})
		if err == nil {
			m.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", mask, err)
		}
	}
}
