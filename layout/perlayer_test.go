package layout

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPerLayerMetadata holds what is written for each architecture against what its loader derives from the index. The
// expectation is the source's property of the layers that remain.
func TestPerLayerMetadata(t *testing.T) {
	t.Parallel()
	const T, F = true, false
	tests := []struct {
		arch    string
		layers  int
		kvs     []any
		removed string
		want    map[string]any
	}{
		{"gemma2", 6, []any{"attention.sliding_window", uint32(8)}, "attn:0,ffn:0", map[string]any{
			"attention.sliding_window_pattern": []bool{F, T, F, T, F}, "block_count": uint32(5),
		}},
		{"gemma3", 8, []any{"attention.sliding_window", uint32(8)}, "attn:1-2,ffn:1-2", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, T, F, T, T},
		}},
		{"gemma3", 8, nil, "attn:1-2,ffn:1-2", map[string]any{"attention.sliding_window_pattern": nil}}, // no window
		{"gpt-oss", 4, []any{"attention.sliding_window", uint32(8)}, "attn:1,ffn:1", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, F},
		}},
		{"olmo2", 5, []any{"attention.sliding_window", uint32(8)}, "attn:0,ffn:0", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, F, T},
		}},
		{"cohere2", 5, nil, "attn:0,ffn:0", map[string]any{"attention.sliding_window_pattern": []bool{T, T, F, T}}},
		{"cohere2moe", 6, []any{"attention.sliding_window_pattern", uint32(3)}, "attn:1,ffn:1", map[string]any{
			"attention.sliding_window_pattern": []bool{F, T, F, T, T},
		}}, // dense first: 0 and 3 are full
		{"plamo3", 9, []any{"attention.sliding_window", uint32(8)}, "attn:2,ffn:2", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, T, T, T, T, F, T},
		}},
		{"mellum", 5, []any{"attention.sliding_window", uint32(8)}, "attn:0,ffn:0", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, F, T},
		}},
		{"laguna", 5, []any{"attention.sliding_window", uint32(8), "leading_dense_block_count", uint32(1)}, "attn:0,ffn:0", map[string]any{
			"attention.sliding_window_pattern": []bool{T, T, T, F}, "leading_dense_block_count": uint32(0),
		}},
		{"exaone-moe", 5, nil, "attn:3,ffn:3", map[string]any{"attention.sliding_window_pattern": []bool{T, T, T, T}}},
		{"muse-glimmer", 5, nil, "attn:3,ffn:3", map[string]any{"attention.sliding_window_pattern": []bool{T, T, T, T}}},
		// The key's own period, and one as an array, which keeps its type.
		{"gemma2", 4, []any{"attention.sliding_window_pattern", uint32(3)}, "attn:1,ffn:1", map[string]any{
			"attention.sliding_window_pattern": []bool{T, F, T},
		}},
		{"mimo2", 4, []any{"attention.sliding_window_pattern", []int32{0, 1, 1, 0}}, "attn:1,ffn:1", map[string]any{
			"attention.sliding_window_pattern": []int32{0, 1, 0},
		}},
		// A mixer brings its window along, an FFN does not.
		{"gemma2", 4, nil, "ffn:0,attn:1", map[string]any{"attention.sliding_window_pattern": []bool{T, T, F}}},
		{
			"llama", 3,
			[]any{"feed_forward_length", []uint32{96, 128, 160}, "attention.head_count_kv", []uint32{1, 2, 1}},
			"ffn:0,attn:1",
			map[string]any{"feed_forward_length": []uint32{128, 160}, "attention.head_count_kv": []uint32{1, 1}},
		},
		{"apertus", 3, []any{"xielu.alpha_n", []float32{1, 2, 3}}, "attn:1,ffn:1", map[string]any{"xielu.alpha_n": []float32{1, 3}}},
		{"step35", 3, []any{"swiglu_clamp_exp", []float32{1, 2, 3}}, "ffn:1,attn:2", map[string]any{"swiglu_clamp_exp": []float32{1, 3}}},
		{"deepseek2", 4, []any{"leading_dense_block_count", uint32(2)}, "attn:0,ffn:0", map[string]any{"leading_dense_block_count": uint32(1)}},
		{"dots1", 4, []any{"leading_dense_block_count", uint32(2)}, "ffn:1,attn:2", map[string]any{"leading_dense_block_count": uint32(1)}},
		{"glm4moe", 4, []any{"leading_dense_block_count", uint32(1)}, "attn:2,ffn:2", map[string]any{"leading_dense_block_count": uint32(1)}},
		{"qwen35", 8, nil, "attn:2,ffn:2", map[string]any{"attention.recurrent_layers": []bool{T, T, F, T, T, T, F}}},
		{"qwen3next", 4, []any{"full_attention_interval", uint32(2)}, "attn:0,ffn:0", map[string]any{
			"attention.recurrent_layers": []bool{F, T, F},
		}},
		{"lfm2", 4, []any{"attention.head_count_kv", []int32{0, 1, 0, 1}}, "attn:1,ffn:1", map[string]any{
			"attention.head_count_kv": []int32{0, 0, 1},
		}},
		{"minicpm", 4, nil, "attn:1,ffn:1", map[string]any{"residual_scale": float32(1.4) / 2}},
		{"minicpm", 4, []any{"residual_scale", float32(0.5)}, "attn:1,ffn:1", map[string]any{"residual_scale": float32(0.5)}},
	}
	for _, tt := range tests {
		t.Run(tt.arch+" without "+tt.removed, func(t *testing.T) {
			f := fixture{arch: tt.arch, layers: tt.layers, kvs: tt.kvs}.open(t)
			res := plan(t, f, Native, tt.removed)
			for name, want := range tt.want {
				key := fixture{arch: tt.arch}.key(name)
				if d := cmp.Diff(want, value(t, res, key)); d != "" {
					t.Errorf("%s (-want +got):\n%s", key, d)
				}
			}
		})
	}
}

// TestNotExpressible lists what no metadata can express: native refuses, and auto keeps the layers as zeros.
func TestNotExpressible(t *testing.T) {
	t.Parallel()
	tests := []struct {
		arch    string
		layers  int
		kvs     []any
		removed string
		reason  string
	}{
		{"smollm3", 8, nil, "attn:1,ffn:1", "without RoPE"},
		{"afmoe", 8, nil, "attn:1,ffn:1", "without RoPE"},
		{"llama4", 8, []any{"interleave_moe_layer_step", uint32(1)}, "attn:1,ffn:1", "without RoPE"},
		{"llama4", 8, []any{"interleave_moe_layer_step", uint32(2), "attention.sliding_window", uint32(0)}, "attn:1,ffn:1", "mixture of experts"},
		{"smallthinker", 8, []any{"attention.sliding_window", uint32(8)}, "attn:1,ffn:1", "without RoPE"},
		// Four layers are as many as the step, which llama.cpp takes for RoPE everywhere.
		{"smallthinker", 8, []any{"attention.sliding_window", uint32(8)}, "attn:4-7,ffn:4-7", "without RoPE"},
		{"ernie4_5-moe", 4, []any{"interleave_moe_layer_step", uint32(2)}, "attn:1,ffn:1", "mixture of experts"},
		{"gemma2", 46, nil, "attn:1,ffn:1", "attention scale"},
		{"gemma3", 62, nil, "attn:1,ffn:1", "attention scale"},
		{"gemma3", 63, nil, "attn:1,ffn:1", "attention scale"},
		{"exaone4", 64, nil, "attn:1,ffn:1", "sliding windows"},
		{"baichuan", 33, nil, "attn:1,ffn:1", "RoPE"},
		{"command-r", 64, nil, "attn:1,ffn:1", "norms of Q and K"},
		{"deepseek2", 28, nil, "attn:1,ffn:1", "lite"},
		{"minimax-01", 4, nil, "attn:1,ffn:1", "decay"},
		{"minicpm3", 4, nil, "attn:1,ffn:1", "number of layers"},
		{"gemma3n", 4, nil, "attn:1,ffn:1", "share"},
		{"somethingnew", 4, nil, "attn:1,ffn:1", "does not know"},
		{"llama", 4, []any{"mystery", []uint32{1, 2, 3, 4}}, "attn:1,ffn:1", "one element per layer"},
		{"llama", 4, []any{"feed_forward_length", []uint32{96, 96}}, "attn:1,ffn:1", "2 elements for 4 layers"},
		{"gemma2", 4, []any{"attention.sliding_window_pattern", uint32(2)}, "attn:0,ffn:0,attn:2,ffn:2", "no layer with a sliding window"},
		{"jamba", 3, []any{"attention.head_count_kv", []uint32{0, 1, 0}}, "attn:1,ffn:1", "aborts"},
		{"qwen35", 4, nil, "attn:3,ffn:3", "aborts"},
		{"llama4", 4, []any{"interleave_moe_layer_step", uint32(1)}, "attn:3,ffn:3", "aborts"},
		{"minimax-m3", 3, []any{"leading_dense_block_count", uint32(1)}, "attn:1-2,ffn:1-2", "aborts"},
		{"gemma2", 4, []any{"attention.key_length", uint32(32), "attention.key_length_swa", uint32(16)}, "attn:0,ffn:0", "head sizes"},
		{"qwen3vl", 5, []any{"n_deepstack_layers", uint32(2)}, "attn:1,ffn:1", "deepstack"},
		{"granite", 4, []any{"deepstack_mapping", []int32{-1, 0, -1, -1}}, "attn:1,ffn:1", "deepstack"},
	}
	for _, tt := range tests {
		t.Run(tt.arch+" without "+tt.removed, func(t *testing.T) {
			f := fixture{arch: tt.arch, layers: tt.layers, kvs: tt.kvs}.open(t)
			if got := refusal(t, f, Native, tt.removed); !strings.Contains(got, tt.reason) {
				t.Errorf("native: %q, want something about %q", got, tt.reason)
			}
			res := plan(t, f, Zeros, tt.removed)
			if n := value(t, res, tt.arch+".block_count"); n != uint32(tt.layers) {
				t.Errorf("zeros: %v layers, want all %d in their places", n, tt.layers)
			}
		})
	}
}

// TestExpressibleByLuck lists masks after which an index-derived property comes out as it was.
func TestExpressibleByLuck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		arch    string
		layers  int
		kvs     []any
		removed string
	}{
		{"smollm3", 8, nil, "attn:0-3,ffn:0-3"},
		{"smollm3", 8, nil, "attn:7,ffn:7"},
		{"llama4", 12, []any{"interleave_moe_layer_step", uint32(2)}, "attn:4-7,ffn:4-7"},
		{"smallthinker", 12, []any{"attention.sliding_window", uint32(8)}, "attn:4-7,ffn:4-7"},
		{"smallthinker", 8, nil, "attn:2,ffn:2"}, // without windows every layer has RoPE
		{"ernie4_5-moe", 6, []any{"interleave_moe_layer_step", uint32(2)}, "attn:2-3,ffn:2-3"},
		{"gemma2", 40, nil, "attn:1,ffn:1"},
		{"command-r", 80, nil, "attn:1,ffn:1"},
		{"exaone4", 30, nil, "attn:1,ffn:1"},
		{"qwen3vl", 5, []any{"n_deepstack_layers", uint32(2)}, "attn:2,ffn:2"},
		{"granite", 4, []any{"deepstack_mapping", []int32{-1, 0, -1, -1}}, "attn:0,ffn:0"},
		{"llama", 4, []any{"rope.dimension_sections", []int32{1, 2, 3, 4}}, "attn:0,ffn:0"},
	}
	for _, tt := range tests {
		t.Run(tt.arch+" without "+tt.removed, func(t *testing.T) {
			f := fixture{arch: tt.arch, layers: tt.layers, kvs: tt.kvs}.open(t)
			if res := plan(t, f, Auto, tt.removed); res.Kind != Native || !res.Exact {
				t.Errorf("layout %s, exact %v; want native, exact", res.Kind, res.Exact)
			}
		})
	}
}

// TestPredictionHead: the layers of a multi-token-prediction head stay behind the last one, with their attributes.
func TestPredictionHead(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "exaone-moe", layers: 6, kvs: []any{
		"nextn_predict_layers", uint32(1), "leading_dense_block_count", uint32(1),
		"expert_feed_forward_length",
		[]uint32{10, 11, 12, 13, 14, 99},
	}}.open(t)
	res, err := Build(Request{Source: f, Blocks: trunkBlocks(f, 5), Removed: mask(t, "attn:0-1,ffn:0-1")})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"block_count": uint32(4), "nextn_predict_layers": uint32(1), "leading_dense_block_count": uint32(0),
		"expert_feed_forward_length":       []uint32{12, 13, 14, 99},
		"attention.sliding_window_pattern": []bool{true, false, true, false},
	} {
		if d := cmp.Diff(want, value(t, res, "exaone-moe."+name)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if len(res.Layers) != 3 {
		t.Errorf("%d layers reported, want 3 without the head", len(res.Layers))
	}
	last := res.Plan.Tensors[len(res.Plan.Tensors)-1].Name
	if last != "blk.3.ffn_down.weight" {
		t.Errorf("last tensor is %s, want that of the head's layer as blk.3", last)
	}
}

// TestFirstLayerWithoutHeads: the first layer's number of heads decides whether llama.cpp reads head sizes at all.
func TestFirstLayerWithoutHeads(t *testing.T) {
	t.Parallel()
	kvs := []any{
		"attention.head_count", []uint32{2, 0, 2, 0}, "attention.head_count_kv", []uint32{1, 0, 1, 0},
	}
	f := fixture{arch: "granitehybrid", layers: 4, kvs: kvs}.open(t)
	res := plan(t, f, Native, "attn:0,ffn:0")
	for name, want := range map[string]any{
		"attention.head_count": []int32{2, 2, 0}, "attention.head_count_kv": []uint32{0, 1, 0},
		"attention.key_length": uint32(32), "attention.value_length": uint32(32), "rope.dimension_count": uint32(32),
	} {
		if d := cmp.Diff(want, value(t, res, "granitehybrid."+name)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	// Without head_count_kv as an array, a layer with heads is taken for attention.
	f = fixture{arch: "granitehybrid", layers: 4, kvs: kvs[:2]}.open(t)
	if got := refusal(t, f, Native, "attn:0,ffn:0"); !strings.Contains(got, "head sizes") && !strings.Contains(got, "aborts") {
		t.Errorf("refused with %q", got)
	}
}

// TestSizesStayWithVaryingHeads: the head size that llama.cpp derives from the first layer's heads is written out.
func TestSizesStayWithVaryingHeads(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 3, kvs: []any{"attention.head_count", []uint32{2, 4, 4}}}.open(t)
	res := plan(t, f, Native, "attn:0,ffn:0")
	if got := value(t, res, "llama.attention.key_length"); got != uint32(32) {
		t.Errorf("key_length %v, want the 64/2 of the source's first layer", got)
	}
	// The same request makes the same file, to the order of its keys.
	for range 20 {
		if d := cmp.Diff(res.Plan.KVs, plan(t, f, Native, "attn:0,ffn:0").Plan.KVs); d != "" {
			t.Fatalf("another file (-first +then):\n%s", d)
		}
	}
}
