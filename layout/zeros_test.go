package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

func TestZeroType(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typ  gguf.Type
		row  uint64
		want gguf.Type
	}{
		{gguf.F32, 512, gguf.F16},
		{gguf.F16, 512, gguf.F16},
		{gguf.BF16, 512, gguf.BF16},
		{gguf.Q8_0, 512, gguf.Q2_K},
		{gguf.Q8_0, 288, gguf.Q4_0},
		{gguf.Q4_K, 512, gguf.Q2_K},
		{gguf.Q4_0, 288, gguf.Q4_0},
		{gguf.IQ1_S, 512, gguf.IQ1_S}, // smaller than Q2_K as it is
		{gguf.MXFP4, 2880, gguf.MXFP4},
		{gguf.MXFP4, 512, gguf.Q2_K},
	}
	for _, tt := range tests {
		if got := ZeroType(gguf.Tensor{Type: tt.typ, Dims: []uint64{tt.row, 4}}); got != tt.want {
			t.Errorf("%s rows of %d: %s, want %s", tt.typ, tt.row, got, tt.want)
		}
	}
}

// TestZerosKeepsSmallParts holds every tensor of a zeroed block: matrices are zeros, norms and the router stay.
func TestZerosKeepsSmallParts(t *testing.T) {
	t.Parallel()
	layer := []string{
		"attn_norm.weight 64", "attn_q.weight 64 64", "attn_q.bias 64", "attn_q_norm.weight 32", "attn_output.weight 64 64",
		"attn_output.bias 64", "attn_sinks.weight 2", "post_attention_norm.weight 64",
		"ffn_norm.weight 64", "ffn_gate_inp.weight 64 4", "ffn_gate_exps.weight 64 96 4", "ffn_up_exps.weight 64 96 4",
		"ffn_down_exps.weight 96 64 4", "ffn_down_exps.bias 64 4", "ffn_down_shexp.weight 96 64", "exp_probs_b.bias 4",
	}
	f := fixture{arch: "qwen3moe", layers: 2, layer: layer, typ: gguf.Q8_0}.open(t)
	res := plan(t, f, Zeros, "attn:0,ffn:1")
	out := written(t, res)
	zero := map[string]bool{}
	for _, n := range []string{"attn_q.weight", "attn_q.bias", "attn_output.weight", "attn_output.bias"} {
		zero[arch.TensorName(0, n)] = true
	}
	for _, n := range []string{"ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight", "ffn_down_exps.bias", "ffn_down_shexp.weight"} {
		zero[arch.TensorName(1, n)] = true
	}
	for _, o := range out.Tensors() {
		isZero := !slices.ContainsFunc(data(t, out, o.Name), func(b byte) bool { return b != 0 })
		if isZero != zero[o.Name] {
			t.Errorf("%s: zero is %v, want %v", o.Name, isZero, zero[o.Name])
		}
		src, _ := f.Tensor(o.Name)
		if d := cmp.Diff(src.Dims, o.Dims); d != "" {
			t.Errorf("%s changed its shape:\n%s", o.Name, d)
		}
		want := src.Type
		if zero[o.Name] && strings.HasSuffix(o.Name, ".weight") {
			want = gguf.Q4_0
		}
		if o.Type != want {
			t.Errorf("%s is %s, want %s", o.Name, o.Type, want)
		}
	}
	if res.Exact || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "2 blocks are stored as zeros") {
		t.Errorf("exact %v, warnings %q", res.Exact, res.Warnings)
	}
	if d := cmp.Diff([]blockmask.Layer{{Mixer: -1, FFN: 0}, {Mixer: 1, FFN: -1}}, res.Layers); d != "" {
		t.Errorf("layers (-want +got):\n%s", d)
	}
}

// TestZerosForStrangers: of an architecture that is not known only output projections are zeroed, and no layer moves.
func TestZerosForStrangers(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "somethingnew", layers: 3, typ: gguf.Q8_0}.open(t)
	res := plan(t, f, Auto, "attn:0-2,ffn:0-1")
	if res.Kind != Zeros || len(res.Layers) != 3 {
		t.Fatalf("layout %s with %d layers", res.Kind, len(res.Layers))
	}
	out := written(t, res)
	for _, o := range out.Tensors() {
		src := data(t, f, o.Name)
		layer, rest, ok := arch.SplitName(o.Name)
		zeroed := ok && (rest == "attn_output.weight" || rest == "ffn_down.weight" && layer < 2)
		if changed := !slices.Equal(src, data(t, out, o.Name)); changed != zeroed {
			t.Errorf("%s: changed is %v, want %v", o.Name, changed, zeroed)
		}
	}
}

// TestZerosDropsWhatItCan: with partial layers left, whole missing layers go all the same, and halves are joined.
func TestZerosDropsWhatItCan(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "qwen3", layers: 6}.open(t)
	res := plan(t, f, Auto, "ffn:0,attn:1,attn:3,ffn:3,attn:5")
	want := []blockmask.Layer{{Mixer: 0, FFN: 1}, {Mixer: 2, FFN: 2}, {Mixer: 4, FFN: 4}, {Mixer: -1, FFN: 5}}
	if d := cmp.Diff(want, res.Layers); d != "" || res.Kind != Zeros {
		t.Errorf("layout %s, layers (-want +got):\n%s", res.Kind, d)
	}
	// In a parallel architecture halves of different layers cannot be joined.
	f = fixture{arch: "phi2", layers: 6}.open(t)
	res = plan(t, f, Auto, "ffn:0,attn:1,attn:3,ffn:3,attn:5")
	want = []blockmask.Layer{{Mixer: 0, FFN: -1}, {Mixer: -1, FFN: 1}, {Mixer: 2, FFN: 2}, {Mixer: 4, FFN: 4}, {Mixer: -1, FFN: 5}}
	if d := cmp.Diff(want, res.Layers); d != "" {
		t.Errorf("phi2: layers (-want +got):\n%s", d)
	}
}

func TestZerosNeedsAnOutput(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 2, layer: []string{"attn_q.weight 64 64", "attn_strange.weight 64 64", "ffn_down.weight 96 64"}}.open(t)
	if got := refusal(t, f, Zeros, "attn:1"); !strings.Contains(got, "no output projection is known among the tensors of layer 1's mixer") {
		t.Errorf("refused with %q", got)
	}
	_, err := Build(Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, "attn:1")})
	if err == nil || !strings.Contains(err.Error(), "no exact layout exists for this llama model and mask: native: ") {
		t.Errorf("auto: %v, want a refusal with each layout's reason", err)
	}
}

func TestAllRemoved(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "qwen3", layers: 3}.open(t)
	res := plan(t, f, Auto, "attn:0-2,ffn:0-2")
	if d := cmp.Diff([]blockmask.Layer{{Mixer: -1, FFN: -1}}, res.Layers); d != "" || res.Kind != Zeros {
		t.Errorf("layout %s, layers (-want +got):\n%s", res.Kind, d)
	}
}
