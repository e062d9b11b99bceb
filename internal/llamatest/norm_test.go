//go:build cgo

package llamatest

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/find"
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
	got, err := find.WeightNorm(t.Context(), llamabind.Runtime{}, f, names)(blockmask.Block{Layer: 3, Kind: blockmask.FFN})
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
	want, err := find.WeightNorm(t.Context(), llamabind.Runtime{}, g, names)(blockmask.Block{Layer: 3, Kind: blockmask.FFN})
	if err != nil || math.Abs(got/want-1) > 1e-6 || !(got > 0) {
		t.Errorf("norm %v in Q8_0, %v in F32, %v", got, want, err)
	}
	if _, err := find.WeightNorm(t.Context(), llamabind.Runtime{}, f, func(blockmask.Block) []string { return nil })(blockmask.Block{}); err == nil {
		t.Error("a block without weights has a norm")
	}
}
