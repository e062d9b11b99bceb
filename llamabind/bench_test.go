package llamabind

import (
	"context"
	"errors"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

// A bench runs what it is asked for, and its memory is that of the KV cache: two vectors of float16 for each layer and token.
func TestBench(t *testing.T) {
	m, err := LoadModel(t.Context(), "../testdata/tiny-11m-Q8_0.gguf", engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b, err := m.NewBench(engine.BenchParams{Context: 256, Batch: 64, UBatch: 64, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if d, err := b.Prompt(t.Context(), 200); err != nil || d <= 0 {
		t.Errorf("prompt: %v, %v", d, err)
	}
	if d, err := b.Generate(t.Context(), 8); err != nil || d <= 0 {
		t.Errorf("generate: %v, %v", d, err)
	}
	const wide = 128 // numbers of the keys, and of the values, of a layer
	if got, want := b.MemoryBytes(), int64(256*m.Info().NLayer*2*wide*2); got != want {
		t.Errorf("memory of %d bytes, want %d", got, want)
	}
	var e *engine.Error
	if _, err := b.Prompt(t.Context(), 257); !errors.As(err, &e) || e.Code != engine.BadInput {
		t.Errorf("more tokens than the context: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Generate(ctx, 8); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := m.NewBench(engine.BenchParams{}); err == nil {
		t.Error("a bench of no tokens is no error")
	}
	if _, err := m.NewBench(engine.BenchParams{FlashAttn: "maybe"}); err == nil {
		t.Error("flash attention maybe is no error")
	}
}
