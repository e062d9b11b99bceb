package repair

import (
	"fmt"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/layout"
)

// Widths suit the types that output projections have, and those that they get.
func TestGrain(t *testing.T) {
	t.Parallel()
	m := gguftest.Model{KVs: gguftest.KVs("general.architecture", "llama")}
	for layer, typ := range []gguf.Type{gguf.F16, gguf.Q8_0} {
		size := typ.RowBytes(512) * 4
		m.Tensors = append(m.Tensors, gguftest.Tensor{
			Name: fmt.Sprintf("blk.%d.ffn_down.weight", layer), Type: uint32(typ), Dims: []uint64{512, 4}, Data: make([]byte, size),
		})
	}
	f, err := gguf.Open(gguftest.Write(t, t.TempDir(), "m.gguf", m))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, second := blockmask.Block{Kind: blockmask.FFN}, blockmask.Block{Kind: blockmask.FFN, Layer: 1}
	later := map[string]gguf.Type{"blk.0.ffn_down.weight": gguf.Q4_K}
	for _, c := range []struct {
		ffns  []blockmask.Block
		later map[string]gguf.Type
		want  int
	}{{[]blockmask.Block{first}, nil, 1}, {[]blockmask.Block{first, second}, nil, 32}, {[]blockmask.Block{first}, later, 256}, {[]blockmask.Block{second}, later, 32}} {
		if got := Grain(f, c.ffns, c.later); got != c.want {
			t.Errorf("%v, then %v: %d, want %d", c.ffns, c.later, got, c.want)
		}
	}
}

// An FFN has as many channels as its one output projection has inputs, wherever that stands among its weights.
func TestChannels(t *testing.T) {
	t.Parallel()
	dims := map[string][]uint64{
		"ffn_up.weight": {4, 6}, "ffn_down.weight": {6, 4}, "ffn_down.bias": {4}, "ffn_down_exps.weight": {6, 4, 2}, "ffn_down_shexp.weight": {6, 4},
		"vis_down.weight": {6, 4},
	}
	m := gguftest.Model{KVs: gguftest.KVs("general.architecture", "llama")}
	for name, d := range dims {
		size := uint64(4)
		for _, n := range d {
			size *= n
		}
		m.Tensors = append(m.Tensors, gguftest.Tensor{Name: "blk.0." + name, Type: uint32(gguf.F32), Dims: d, Data: make([]byte, size)})
	}
	f, err := gguf.Open(gguftest.Write(t, t.TempDir(), "m.gguf", m))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		weights []string
		n       int
		reason  string
	}{
		{[]string{"ffn_up.weight", "ffn_down.bias", "ffn_down.weight"}, 6, ""},
		{[]string{"ffn_up.weight"}, 0, "it has no output projection"},
		{[]string{"ffn_down.weight", "ffn_down_exps.weight"}, 0, "it is a mixture of experts"},
		{[]string{"ffn_down_exps.weight", "ffn_down_shexp.weight"}, 0, "it is a mixture of experts with a shared one, whose channels cannot be removed yet"},
		{[]string{"ffn_down_shexp.weight", "ffn_down_exps.weight"}, 0, "it is a mixture of experts with a shared one, whose channels cannot be removed yet"},
		{[]string{"ffn_down.weight", "vis_down.weight"}, 0, "it has several output projections"},
		{[]string{"ffn_down.weight", "ffn_down.9.weight"}, 0, "its output projection is not in the file"},
	} {
		b := layout.Block{Block: blockmask.Block{Kind: blockmask.FFN}}
		for _, w := range c.weights {
			b.Weights = append(b.Weights, fmt.Sprintf("blk.0.%s", w))
		}
		n, reason := Channels(f, b)
		if reason != c.reason || reason == "" && n != c.n {
			t.Errorf("%v: %d, %q; want %d, %q", c.weights, n, reason, c.n, c.reason)
		}
	}
}
