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

// sources says for each tensor of a plan which tensor of the source has its bytes.
func sources(t *testing.T, src *gguf.File, res *Result) map[string]string {
	t.Helper()
	out := written(t, res)
	from := map[string]string{}
	for _, s := range src.Tensors() {
		from[string(data(t, src, s.Name))] = s.Name
	}
	got := map[string]string{}
	for _, o := range out.Tensors() {
		got[o.Name] = from[string(data(t, out, o.Name))]
	}
	return got
}

func TestNativeRenumbers(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 12, typ: gguf.Q8_0}.open(t)
	// Layer 0, the FFN of 3 with the attention of 4, and layer 11 go.
	res := plan(t, f, Native, "attn:0,ffn:0,ffn:3,attn:4,attn:11,ffn:11")
	if !res.Exact || res.Kind != Native || len(res.Warnings) != 0 {
		t.Errorf("kind %s, exact %v, warnings %q", res.Kind, res.Exact, res.Warnings)
	}
	wantLayers := []blockmask.Layer{{Mixer: 1, FFN: 1}, {Mixer: 2, FFN: 2}, {Mixer: 3, FFN: 4}}
	for i := 5; i < 11; i++ {
		wantLayers = append(wantLayers, blockmask.Layer{Mixer: i, FFN: i})
	}
	if d := cmp.Diff(wantLayers, res.Layers); d != "" {
		t.Errorf("layers (-want +got):\n%s", d)
	}
	want := map[string]string{"token_embd.weight": "token_embd.weight", "output_norm.weight": "output_norm.weight"}
	for j, l := range wantLayers {
		for _, s := range llamaLayer {
			rest, _, _ := strings.Cut(s, " ")
			from := l.Mixer
			if strings.HasPrefix(rest, "ffn_") {
				from = l.FFN
			}
			want[arch.TensorName(j, rest)] = arch.TensorName(from, rest)
		}
	}
	if d := cmp.Diff(want, sources(t, f, res)); d != "" {
		t.Errorf("tensors (-want +got):\n%s", d)
	}
	if got := value(t, res, "llama.block_count"); got != uint32(9) {
		t.Errorf("block_count %v, want 9", got)
	}
}

// TestHalvesTakeTheirNorms joins an attention with the FFN of the layer behind it, for each way in which norms are named.
func TestHalvesTakeTheirNorms(t *testing.T) {
	t.Parallel()
	layer := []string{
		"attn_norm.weight 64", "attn_q.weight 64 64", "attn_output.weight 64 64", "post_attention_norm.weight 64",
		"attn_output_norm.weight 64", "ffn_norm.weight 64", "ffn_down.weight 96 64", "post_ffw_norm.weight 64",
		"layer_output_norm.weight 64", "ffn_gate_inp.weight 64 4", "exp_probs_b.bias 4",
	}
	mixers := []string{"attn_norm", "attn_q", "attn_output"}
	for name, ffnToo := range map[string][]string{
		"gemma2": nil, "seed_oss": {"post_attention_norm"}, "qwen35": {"post_attention_norm"}, "gpt-oss": {"post_attention_norm"},
		"glm4moe": {"post_attention_norm"}, "dbrx": {"attn_output_norm"}, "grok": nil,
	} {
		f := fixture{arch: name, layers: 4, layer: layer}.open(t)
		m, err := newModel(Request{Source: f, Blocks: blocksOf(f)})
		if err != nil {
			t.Fatal(err)
		}
		for _, lt := range m.layers[0].tensors {
			base := strings.TrimSuffix(strings.TrimSuffix(lt.rest, ".weight"), ".bias")
			isMixer := slices.Contains(mixers, base) ||
				slices.Contains([]string{"post_attention_norm", "attn_output_norm"}, base) && !slices.Contains(ffnToo, base)
			if (lt.half == arch.Mixer) != isMixer || lt.half == arch.Neither {
				t.Errorf("%s: %s belongs to half %d", name, lt.rest, lt.half)
			}
		}
	}
}

// TestEngineKnowsBetter: what the engine found in the graph counts more than a name.
func TestEngineKnowsBetter(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 2}.open(t)
	blocks := blocksOf(f)
	for i, b := range blocks {
		if b.Kind == blockmask.FFN {
			blocks[i].Weights = append(blocks[i].Weights, arch.TensorName(b.Layer, "attn_norm.weight"))
		}
	}
	m, err := newModel(Request{Source: f, Blocks: blocks})
	if err != nil {
		t.Fatal(err)
	}
	if h := m.layers[1].tensors[0]; h.rest != "attn_norm.weight" || h.half != arch.FFN {
		t.Errorf("%s belongs to half %d, want that of the FFN", h.rest, h.half)
	}
}

// TestParallelLayersStayTogether: where the FFN reads the attention's input, halves of two layers make another model.
func TestParallelLayersStayTogether(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"falcon", "phi2", "plamo", "arctic", "command-r", "cohere2", "smallthinker"} {
		f := fixture{arch: arch, layers: 4}.open(t)
		if got := refusal(t, f, Native, "ffn:0,attn:1"); !strings.Contains(got, "partial layers would remain") {
			t.Errorf("%s: %q", arch, got)
		}
		if res := plan(t, f, Native, "attn:3,ffn:3"); len(res.Layers) != 3 {
			t.Errorf("%s: %d layers left of 4 without one", arch, len(res.Layers))
		}
	}
	for par, want := range map[bool]Kind{true: Zeros, false: Native} {
		f := fixture{arch: "gptneox", layers: 4, kvs: []any{"use_parallel_residual", par}}.open(t)
		if res := plan(t, f, Auto, "ffn:0,attn:1"); res.Kind != want {
			t.Errorf("gptneox with use_parallel_residual %v: layout %s, want %s", par, res.Kind, want)
		}
	}
	noNorm := slices.DeleteFunc(slices.Clone(llamaLayer), func(s string) bool { return strings.HasPrefix(s, "ffn_norm") })
	if res := plan(t, fixture{arch: "stablelm", layers: 4, layer: noNorm}.open(t), Auto, "ffn:0,attn:1"); res.Kind != Zeros {
		t.Errorf("stablelm without ffn_norm: layout %s, want zeros", res.Kind)
	}
	if res := plan(t, fixture{arch: "stablelm", layers: 4}.open(t), Auto, "ffn:0,attn:1"); res.Kind != Native {
		t.Errorf("stablelm with ffn_norm: layout %s, want native", res.Kind)
	}
}

// TestUnremovablePartsKeepTheirLayer: what is left of a layer without its blocks still acts on the residual stream.
func TestUnremovablePartsKeepTheirLayer(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 3, layer: append([]string{"layer_output_scale.weight 1"}, llamaLayer...)}.open(t)
	if got := refusal(t, f, Native, "attn:1,ffn:1"); !strings.Contains(got, "blk.1.layer_output_scale.weight") {
		t.Errorf("refused with %q", got)
	}
	// An FFN whose weights the graph does not use (refact's experts) is no block, and its layer cannot go.
	f = fixture{arch: "refact", layers: 3}.open(t)
	mixers := slices.DeleteFunc(blocksOf(f), func(b Block) bool { return b.Kind == blockmask.FFN })
	res, err := Build(Request{Source: f, Blocks: mixers, Removed: mask(t, "attn:1")})
	if err != nil {
		t.Fatal(err)
	}
	if res.Kind != Zeros || len(res.Layers) != 3 {
		t.Errorf("layout %s with %d layers, want zeros with 3", res.Kind, len(res.Layers))
	}
}

// TestMixerOnlyModels: layers without FFN by design are whole layers.
func TestMixerOnlyModels(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "mamba2", layers: 4, layer: []string{"attn_norm.weight 64", "ssm_in.weight 64 128", "ssm_out.weight 64 64", "ssm_a 1 2"}}.open(t)
	res := plan(t, f, Native, "attn:1")
	want := []blockmask.Layer{{Mixer: 0, FFN: -1}, {Mixer: 2, FFN: -1}, {Mixer: 3, FFN: -1}}
	if d := cmp.Diff(want, res.Layers); d != "" {
		t.Errorf("layers (-want +got):\n%s", d)
	}
}

// TestOneBlockLayers: nemotron_h has one block in each layer, all with a norm called attn_norm.
func TestOneBlockLayers(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "nemotron_h", layers: 5, kvs: []any{
		"attention.head_count_kv", []uint32{0, 1, 0, 0, 1}, "feed_forward_length", []uint32{0, 0, 96, 0, 0},
	}}
	m := f.model()
	m.Tensors = m.Tensors[:0]
	for i, kind := range []string{"ssm_out", "attn_output", "ffn_down", "ssm_out", "attn_output"} {
		m.Tensors = append(m.Tensors, f.tensor(arch.TensorName(i, "attn_norm.weight 64")), f.tensor(arch.TensorName(i, kind+".weight 64 64")))
	}
	res := plan(t, openModel(t, m), Native, "attn:0,ffn:2")
	want := []string{
		"blk.0.attn_norm.weight", "blk.0.attn_output.weight", "blk.1.attn_norm.weight", "blk.1.ssm_out.weight",
		"blk.2.attn_norm.weight", "blk.2.attn_output.weight",
	}
	if d := cmp.Diff(want, names(res)); d != "" {
		t.Errorf("tensors (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]uint32{0, 0, 0}, value(t, res, "nemotron_h.feed_forward_length")); d != "" {
		t.Error(d)
	}
}

func TestWindowWarning(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "gemma2", layers: 4}.open(t)
	res := plan(t, f, Native, "attn:1,ffn:1")
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "Ollama") {
		t.Errorf("warnings %q, want one about Ollama", res.Warnings)
	}
}

func TestNothingRemoved(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "qwen3", layers: 3, typ: gguf.Q8_0}.open(t)
	res := plan(t, f, Auto, "")
	if res.Kind != Native || res.ParamsRemoved != 0 {
		t.Fatalf("layout %s, %d weights removed", res.Kind, res.ParamsRemoved)
	}
	for name, from := range sources(t, f, res) {
		if name != from {
			t.Errorf("%s holds %s", name, from)
		}
	}
}
