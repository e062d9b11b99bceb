package layout

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// TestDeciPartialLayers holds the whole file for a mask that leaves each sort of partial layer.
func TestDeciPartialLayers(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 4, typ: gguf.Q8_0, extra: []gguftest.Tensor{fixture{}.tensor("rope_freqs.weight 16")}}.open(t)
	// What remains: F0 | A1 F2 (of layers 1 and 2) | A3.
	res := plan(t, f, Auto, "attn:0,ffn:1,attn:2,ffn:3")
	if res.Kind != Deci || !res.Exact {
		t.Fatalf("layout %s, exact %v", res.Kind, res.Exact)
	}
	if d := cmp.Diff([]blockmask.Layer{{Mixer: -1, FFN: 0}, {Mixer: 1, FFN: 2}, {Mixer: 3, FFN: -1}}, res.Layers); d != "" {
		t.Errorf("layers (-want +got):\n%s", d)
	}
	for key, want := range map[string]any{
		"general.architecture": "deci", "deci.block_count": uint32(3), "deci.attention.head_count": []int32{1, 2, 2},
		"deci.attention.head_count_kv": []int32{1, 1, 1}, "deci.feed_forward_length": []int32{96, 96, 32},
		"deci.attention.key_length": uint32(32), "deci.attention.value_length": uint32(32),
		"deci.rope.dimension_count": uint32(32), "deci.context_length": uint32(128), "llama.block_count": nil,
	} {
		if d := cmp.Diff(want, value(t, res, key)); d != "" {
			t.Errorf("%s (-want +got):\n%s", key, d)
		}
	}
	got := sources(t, f, res)
	for name, from := range map[string]string{
		"blk.0.ffn_down.weight": "blk.0.ffn_down.weight", "blk.1.attn_q.weight": "blk.1.attn_q.weight",
		"blk.1.attn_norm.weight": "blk.1.attn_norm.weight", "blk.1.ffn_norm.weight": "blk.2.ffn_norm.weight",
		"blk.1.ffn_up.weight": "blk.2.ffn_up.weight", "blk.2.attn_v.weight": "blk.3.attn_v.weight",
		"rope_freqs.weight": "rope_freqs.weight",
	} {
		if got[name] != from {
			t.Errorf("%s holds %q, want %q", name, got[name], from)
		}
	}
	checkStubs(t, written(t, res))
}

// checkStubs holds the stubs of TestDeciPartialLayers: an attention of one head in front, an FFN of 32 behind.
func checkStubs(t *testing.T, out *gguf.File) {
	t.Helper()
	for name, dims := range map[string][]uint64{
		"blk.0.attn_q.weight": {64, 32}, "blk.0.attn_k.weight": {64, 32}, "blk.0.attn_v.weight": {64, 32},
		"blk.0.attn_output.weight": {32, 64},
		"blk.2.ffn_gate.weight":    {64, 32}, "blk.2.ffn_up.weight": {64, 32}, "blk.2.ffn_down.weight": {32, 64},
	} {
		tensor, ok := out.Tensor(name)
		if !ok || tensor.Type != gguf.F16 || !slices.Equal(tensor.Dims, dims) {
			t.Errorf("%s is %v %v, want F16 %v", name, tensor.Type, tensor.Dims, dims)
			continue
		}
		if slices.ContainsFunc(data(t, out, name), func(b byte) bool { return b != 0 }) {
			t.Errorf("%s is not zero", name)
		}
	}
	for _, name := range []string{"blk.0.attn_norm.weight", "blk.2.ffn_norm.weight"} {
		v := floats(t, out, name)
		if len(v) != 64 || slices.ContainsFunc(v, func(x float32) bool { return x != 1 }) {
			t.Errorf("%s is %v, want 64 ones", name, v)
		}
	}
}

// TestDeciInteriorMixerGone: only the first layer needs a stub in place of its attention.
func TestDeciInteriorMixerGone(t *testing.T) {
	t.Parallel()
	res := plan(t, fixture{arch: "internlm2", layers: 3}.open(t), Auto, "attn:1")
	if d := cmp.Diff([]int32{2, 0, 2}, value(t, res, "deci.attention.head_count")); d != "" {
		t.Error(d)
	}
	if got := names(res); slices.Contains(got, "blk.1.attn_norm.weight") || slices.Contains(got, "blk.1.attn_q.weight") {
		t.Errorf("the layer without heads has attention tensors, which llama.cpp refuses: %q", got)
	}
}

func TestDeciAllRemoved(t *testing.T) {
	t.Parallel()
	res := plan(t, fixture{arch: "llama", layers: 2}.open(t), Deci, "attn:0-1,ffn:0-1")
	if n := len(res.Layers); n != 1 || value(t, res, "deci.block_count") != uint32(1) {
		t.Errorf("%d layers, block_count %v; want one of stubs", n, value(t, res, "deci.block_count"))
	}
}

// TestDeciPermutes: rotating the permuted rows as NORM does gives the permuted result of rotating the rows as NEOX does.
func TestDeciPermutes(t *testing.T) {
	t.Parallel()
	layer := append([]string{"attn_q.bias 64", "attn_k.bias 32", "attn_v.bias 32"}, llamaLayer...)
	f := fixture{arch: "qwen2", layers: 2, layer: layer}.open(t)
	res := plan(t, f, Auto, "ffn:1")
	if res.Kind != Deci || res.Exact {
		t.Fatalf("layout %s, exact %v; want deci, which a permutation makes inexact", res.Kind, res.Exact)
	}
	out := written(t, res)
	for _, name := range []string{"attn_q", "attn_k"} {
		for i := range 2 {
			w, b := arch.TensorName(i, name+".weight"), arch.TensorName(i, name+".bias")
			// As one matrix with the bias as last column: the product with a vector ending in 1.
			before, after := affine(floats(t, f, w), floats(t, f, b)), affine(floats(t, out, w), floats(t, out, b))
			const size = 32
			for h := 0; h < len(before); h += size {
				want := rotateNEOX(before[h : h+size])
				got := rotateNORM(after[h : h+size])
				for k := range size / 2 {
					if got[2*k] != want[k] || got[2*k+1] != want[k+size/2] {
						t.Fatalf("%s, head at row %d: pair %d is %g, %g; want %g, %g", w, h, k, got[2*k], got[2*k+1], want[k], want[k+size/2])
					}
				}
			}
		}
	}
	for _, name := range []string{"blk.0.attn_v.weight", "blk.0.attn_v.bias", "blk.0.attn_output.weight"} {
		if !slices.Equal(data(t, f, name), data(t, out, name)) {
			t.Errorf("%s changed", name)
		}
	}
}

// affine multiplies a matrix with rows of 64 by the vector of ones and adds the bias.
func affine(w, b []float32) []float64 {
	out := make([]float64, len(b))
	for r := range out {
		for _, x := range w[r*64 : (r+1)*64] {
			out[r] += float64(x)
		}
		out[r] += float64(b[r])
	}
	return out
}

// rotateNORM rotates pairs of neighbours, rotateNEOX pairs that lie half a head apart, both by the angle of their pair.
func rotateNORM(v []float64) []float64 {
	out := make([]float64, len(v))
	for k := range len(v) / 2 {
		s, c := math.Sincos(angle(k))
		out[2*k], out[2*k+1] = v[2*k]*c-v[2*k+1]*s, v[2*k]*s+v[2*k+1]*c
	}
	return out
}

func rotateNEOX(v []float64) []float64 {
	out, n := make([]float64, len(v)), len(v)/2
	for k := range n {
		s, c := math.Sincos(angle(k))
		out[k], out[k+n] = v[k]*c-v[k+n]*s, v[k]*s+v[k+n]*c
	}
	return out
}

func angle(k int) float64 { return 3 * math.Pow(10000, -float64(k)/16) }

// TestNeoxToNormIsAPermutation: of the rows of each head.
func TestNeoxToNormIsAPermutation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := 2 * rapid.IntRange(1, 64).Draw(t, "half")
		order := neoxToNorm(size)
		rows := make([]int, size*rapid.IntRange(0, 9).Draw(t, "heads"))
		for i := range rows {
			if rows[i] = order(i); rows[i]/size != i/size {
				t.Fatalf("row %d comes from another head (%d)", i, rows[i])
			}
		}
		slices.Sort(rows)
		for i, r := range rows {
			if r != i {
				t.Fatalf("row %d is missing", i)
			}
		}
	})
}

// TestDeciSplitsFused: phi3 holds Q, K and V in one tensor, and the gate in front of the up projection in another.
func TestDeciSplitsFused(t *testing.T) {
	t.Parallel()
	layer := []string{
		"attn_norm.weight 64", "attn_qkv.weight 64 128", "attn_qkv.bias 128", "attn_output.weight 64 64", "ffn_norm.weight 64",
		"ffn_up.weight 64 192", "ffn_down.weight 96 64", "attn_qkv.scale 1", "ffn_up.scale 1", "attn_qkv.input_scale 1",
	}
	f := fixture{arch: "phi3", layers: 2, layer: layer, extra: []gguftest.Tensor{
		fixture{}.tensor("rope_factors_long.weight 16"), fixture{}.tensor("rope_factors_short.weight 16"),
	}}.open(t)
	res := plan(t, f, Deci, "attn:1")
	out := written(t, res)
	rowsOf := func(w []float32, from, n int) []float32 { return w[64*from : 64*(from+n)] }
	qkv, up := floats(t, f, "blk.0.attn_qkv.weight"), floats(t, f, "blk.0.ffn_up.weight")
	// Row 1 of Q is the second dimension of the first pair, row 16 of the source's first head of 32.
	for name, want := range map[string][]float32{
		"attn_q.weight": rowsOf(qkv, 16, 1), "attn_k.weight": rowsOf(qkv, 64+16, 1), "attn_v.weight": rowsOf(qkv, 96+1, 1),
		"ffn_gate.weight": rowsOf(up, 1, 1), "ffn_up.weight": rowsOf(up, 96+1, 1),
	} {
		got := floats(t, out, arch.TensorName(0, name))
		if d := cmp.Diff(want, rowsOf(got, 1, 1)); d != "" {
			t.Errorf("row 1 of %s (-want +got):\n%s", name, d)
		}
	}
	if got, want := floats(t, out, "blk.0.attn_k.bias"), floats(t, f, "blk.0.attn_qkv.bias"); got[1] != want[64+16] || len(got) != 32 {
		t.Errorf("bias of K: %v", got)
	}
	for _, name := range []string{"attn_q.scale", "attn_k.scale", "attn_v.scale"} {
		if !slices.Equal(data(t, out, arch.TensorName(0, name)), data(t, f, "blk.0.attn_qkv.scale")) {
			t.Errorf("%s is not that of the fused tensor", name)
		}
	}
	for _, name := range names(res) {
		if strings.Contains(name, "qkv") || strings.HasSuffix(name, "input_scale") || strings.HasSuffix(name, "ffn_up.scale") {
			t.Errorf("%s was left", name)
		}
	}
	if got := value(t, res, "deci.rope.scaling.type"); got != "longrope" {
		t.Errorf("rope.scaling.type %v, want longrope, without which deci does not load the factors", got)
	}
}

func TestDeciRenames(t *testing.T) {
	t.Parallel()
	layer := slices.Clone(llamaLayer)
	layer[slices.Index(layer, "ffn_norm.weight 64")] = "post_attention_norm.weight 64"
	f := fixture{arch: "seed_oss", layers: 2, layer: layer}.open(t)
	if got := sources(t, f, plan(t, f, Auto, "attn:1")); got["blk.1.ffn_norm.weight"] != "blk.1.post_attention_norm.weight" {
		t.Errorf("ffn_norm holds %q", got["blk.1.ffn_norm.weight"])
	}
}

// TestDeciFolds: deci ignores the factors of an FFN, so that they go into the weights, and as llama.cpp multiplies after the
// bias, into the bias.
func TestDeciFolds(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 2, layer: append([]string{"ffn_up.bias 96", "ffn_up.scale 1", "attn_q.scale 1"}, llamaLayer...)}
	src := f.open(t)
	res := plan(t, src, Auto, "attn:1")
	if res.Kind != Deci || res.Exact {
		t.Fatalf("layout %s, exact %v; want deci, which rounding makes inexact", res.Kind, res.Exact)
	}
	out := written(t, res)
	for _, name := range []string{"blk.0.ffn_up.weight", "blk.0.ffn_up.bias"} {
		scale := floats(t, src, "blk.0.ffn_up.scale")[0]
		before, after := floats(t, src, name), floats(t, out, name)
		for i := range before {
			if after[i] != before[i]*scale {
				t.Fatalf("%s[%d] is %g, want %g times %g", name, i, after[i], before[i], scale)
			}
		}
	}
	if _, ok := out.Tensor("blk.0.attn_q.scale"); !ok {
		t.Error("the factor of an attention, which deci uses, is gone")
	}
	f.typ = gguf.Q8_0
	if got := refusal(t, f.open(t), Deci, "attn:1"); !strings.Contains(got, "cannot be folded") {
		t.Errorf("quantised: %q", got)
	}
}

func TestDeciRefuses(t *testing.T) {
	t.Parallel()
	with := func(extra ...string) []string { return append(slices.Clone(llamaLayer), extra...) }
	tests := []struct {
		name   string
		f      fixture
		reason string
	}{
		{"another architecture", fixture{arch: "qwen3"}, "not one that deci can stand for"},
		{"experts", fixture{arch: "llama", layer: with("ffn_gate_exps.weight 64 96 2")}, "no tensor blk.0.ffn_gate_exps.weight"},
		{"norm of Q", fixture{arch: "llama", layer: with("attn_q_norm.weight 32")}, "no tensor blk.0.attn_q_norm.weight"},
		{"bias of the head", fixture{arch: "qwen2", extra: []gguftest.Tensor{fixture{}.tensor("output.bias 8")}}, "no tensor output.bias"},
		{"partial rotary", fixture{arch: "qwen2", kvs: []any{"rope.dimension_count", uint32(16)}}, "16 of 32 dimensions"},
		{"head sizes", fixture{arch: "llama", kvs: []any{"attention.value_length", uint32(16)}}, "those of V 16"},
		{"no heads", fixture{arch: "llama", kvs: []any{"attention.head_count", uint32(0)}}, "no attention heads"},
		{"prediction head", fixture{arch: "llama", layers: 4, kvs: []any{"nextn_predict_layers", uint32(1)}}, "multi-token-prediction"},
		{"temperature", fixture{arch: "mistral3", kvs: []any{"attention.temperature_scale", float32(0.1)}}, "temperature_scale is 0.1"},
		{"YaRN", fixture{arch: "mistral3", kvs: []any{"rope.scaling.yarn_beta_fast", float32(16)}}, "yarn_beta_fast is 16"},
		{"Baichuan 13B", fixture{arch: "baichuan", layers: 40}, "40 layers without RoPE"},
		{"yarn and factors", fixture{arch: "phi3", kvs: []any{"rope.scaling.type", "yarn"}, layer: []string{
			"attn_norm.weight 64", "attn_q.weight 64 64", "attn_output.weight 64 64", "ffn_norm.weight 64", "ffn_up.weight 64 192",
			"ffn_down.weight 96 64",
		}, extra: []gguftest.Tensor{fixture{}.tensor("rope_factors_long.weight 16")}}, "rope.scaling.type = yarn"},
		{"factors without longrope", fixture{arch: "llama", extra: []gguftest.Tensor{fixture{}.tensor("rope_factors_long.weight 16")}}, "not longrope"},
		{"NVFP4", fixture{arch: "llama", typ: gguf.NVFP4, layer: []string{"attn_output.weight 64 64", "ffn_down.weight 64 64"}}, "NVFP4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.layers == 0 {
				tt.f.layers = 3
			}
			n := tt.f.layers
			if tt.name == "prediction head" {
				n--
			}
			f := tt.f.open(t)
			_, err := Build(Request{Source: f, Blocks: trunkBlocks(f, n), Removed: mask(t, "attn:1"), Kind: Deci})
			if err == nil || !strings.Contains(err.Error(), tt.reason) || !strings.Contains(err.Error(), "use zeros or auto") {
				t.Errorf("error %v, want something about %q and a hint", err, tt.reason)
			}
			res, err := Build(Request{Source: f, Blocks: trunkBlocks(f, n), Removed: mask(t, "attn:1")})
			if err != nil || res.Kind != Zeros {
				t.Errorf("auto does not fall back to zeros: %v", err)
			}
		})
	}
}

// TestDeciSeveralGenerations: a deci file, stubs included, can be pruned again.
func TestDeciSeveralGenerations(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 4}.open(t)
	first := written(t, plan(t, f, Auto, "attn:0,ffn:1,attn:2,ffn:3"))
	res := plan(t, first, Auto, "ffn:0,attn:0") // the first layer's FFN and the stub in front of it
	if res.Kind != Native {
		t.Fatalf("layout %s", res.Kind)
	}
	if d := cmp.Diff([]int32{2, 2}, value(t, res, "deci.attention.head_count")); d != "" {
		t.Error(d)
	}
	res = plan(t, first, Auto, "attn:1")
	if d := cmp.Diff([]int32{1, 0, 2}, value(t, res, "deci.attention.head_count")); d != "" || res.Kind != Deci {
		t.Errorf("layout %s:\n%s", res.Kind, d)
	}
}

// TestDeciFoldsIntoRepairedWeights: what a factor is folded into is what a repair put in the place of the source's weights.
func TestDeciFoldsIntoRepairedWeights(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 2, layer: append([]string{"ffn_down.scale 1"}, llamaLayer...)}
	src := f.open(t)
	const name = "blk.0.ffn_down.weight"
	changed := slices.Clone(data(t, src, name))
	for i := 0; i < len(changed); i += 4 { // any numbers that are not the source's
		binary.LittleEndian.PutUint32(changed[i:], math.Float32bits(float32(i%400)))
	}
	res, err := Build(Request{Source: src, Blocks: blocksOf(src), Removed: mask(t, "attn:1"), Changed: map[string][]byte{name: changed}})
	if err != nil || res.Kind != Deci {
		t.Fatalf("%+v, %v", res, err)
	}
	scale := floats(t, src, "blk.0.ffn_down.scale")[0]
	for i, v := range floats(t, written(t, res), name) {
		if want := float32(4*i%400) * scale; v != want {
			t.Fatalf("weight %d is %g, want %g", i, v, want)
		}
	}
}
