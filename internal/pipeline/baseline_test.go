package pipeline

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/llamabind"
)

// The norm of a block in Q8_0 is, up to what rounding to eight bits does, that of the same weights in F32.
func TestWeightNorm(t *testing.T) {
	f, err := gguf.Open(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names := func(blockmask.Block) []string {
		return []string{"blk.3.ffn_up.weight", "blk.3.ffn_down.weight", "no.such.tensor"}
	}
	got, err := WeightNorm(t.Context(), f, names)(blockmask.Block{Layer: 3, Kind: blockmask.FFN})
	if err != nil {
		t.Fatal(err)
	}
	dense := filepath.Join(t.TempDir(), "f32.gguf")
	if err := llamabind.Quantize(tinyModel, dense, "F32", 2); err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Open(dense)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if tensor, _ := g.Tensor("blk.3.ffn_up.weight"); tensor.Type != gguf.F32 {
		t.Fatalf("the dense file has type %s", tensor.Type.Name())
	}
	want, err := WeightNorm(t.Context(), g, names)(blockmask.Block{Layer: 3, Kind: blockmask.FFN})
	if err != nil || math.Abs(got/want-1) > 1e-6 || !(got > 0) {
		t.Errorf("norm %v in Q8_0, %v in F32, %v", got, want, err)
	}
	if _, err := WeightNorm(t.Context(), f, func(blockmask.Block) []string { return nil })(blockmask.Block{}); err == nil {
		t.Error("a block without weights has a norm")
	}
}

// Batches have sequences of one length each, all of them once, and every position counts.
func TestSameLength(t *testing.T) {
	var seqs []engine.Sequence
	for i, n := range []int{4, 7, 4, 4, 7, 9, 4, 4} {
		tokens := make([]engine.Token, n)
		tokens[0] = engine.Token(i)
		seqs = append(seqs, engine.Sequence{Tokens: tokens, Targets: make([]engine.Token, n)})
	}
	seen := map[engine.Token]bool{}
	for _, batch := range sameLength(seqs, 2) {
		if len(batch) > 2 {
			t.Errorf("%d sequences in a batch", len(batch))
		}
		for _, s := range batch {
			if len(s.Tokens) != len(batch[0].Tokens) || s.Scored() != len(s.Tokens) || seen[s.Tokens[0]] {
				t.Errorf("sequence %d: %d tokens, %d scored, twice %v", s.Tokens[0], len(s.Tokens), s.Scored(), seen[s.Tokens[0]])
			}
			seen[s.Tokens[0]] = true
		}
	}
	if len(seen) != len(seqs) {
		t.Errorf("%d of %d sequences", len(seen), len(seqs))
	}
}

// A request is heard by a search that holds, and only by one.
func TestInterrupt(t *testing.T) {
	i := new(Interrupt)
	ctx := WithInterrupt(context.Background(), i)
	if err := stopRequested(ctx); err != nil {
		t.Fatal(err)
	}
	release := holdInterrupt(ctx)
	if !i.Request() {
		t.Error("the search that holds is not there")
	}
	if err := stopRequested(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after a request: %v", err)
	}
	release()
	if i.Request() {
		t.Error("nobody holds")
	}
	if err := stopRequested(context.Background()); err != nil {
		t.Error(err)
	}
	holdInterrupt(context.Background())()
}
