package llamabind

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

func TestArena(t *testing.T) {
	t.Parallel()
	var a arena
	defer a.free()
	for i, p := range unsafe.Slice(a.strs([]string{"one", "", "t\x00o"}), 3) {
		want := []string{"one\x00", "\x00", "t\x00o\x00"}[i]
		if got := string(borrow[byte](p, len(want))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if a.strs(nil) == nil || a.floats(nil) == nil {
		t.Error("no memory for nothing: C tells an empty array from none by its length")
	}
	f := []float32{1, 2, 3}
	c := a.floats(f)
	f[1] = 0
	if got := borrow[float32](c, 3); !slices.Equal(got, []float32{1, 2, 3}) {
		t.Errorf("a copy is %v", got)
	}
	for _, p := range array[*byte](&a, 1000) {
		if p != nil {
			t.Fatal("memory that is not cleared")
		}
	}
	if bytePtr(nil) != nil || bytePtr([]byte{}) != nil || floatPtr(nil) != nil {
		t.Error("the address of nothing")
	}
}

// Every kind of call hears of a context that ends while it runs, and the next call is not concerned.
func TestCancelInACall(t *testing.T) {
	m, err := LoadModel(t.Context(), "../testdata/tiny-11m-Q8_0.gguf", engine.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b, err := m.NewBench(engine.BenchParams{Context: 2048, Batch: 2048, UBatch: 2048, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, call := range map[string]func(context.Context) error{
		"prompt":   func(ctx context.Context) error { _, err := b.Prompt(ctx, 2048); return err },
		"generate": func(ctx context.Context) error { _, err := b.Generate(ctx, 2048); return err },
		"continue": func(ctx context.Context) error {
			_, err := m.Generate(ctx, strings.Repeat("a long story about a keeper and a lighthouse ", 100), 500, 2)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Millisecond)
		for err = nil; err == nil; {
			err = call(ctx)
		}
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Prompt(t.Context(), 8); err != nil {
		t.Errorf("after a cancelled call: %v", err)
	}
}
