package layout

import (
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// weighPlainly is the plain way: one Build for each block.
func weighPlainly(f *gguf.File, blocks []Block, of []blockmask.Block) (w Weights, refused int) {
	seen := map[string]bool{}
	for _, b := range blocks {
		if !slices.Contains(of, b.Block) {
			continue
		}
		var params uint64
		for _, name := range b.Weights {
			if t, ok := f.Tensor(name); ok && !seen[name] {
				seen[name] = true
				params += t.Elements()
				w.Bytes += t.Size
			}
		}
		if res, err := Build(Request{Source: f, Blocks: blocks, Removed: blockmask.New(b.Block)}); err == nil {
			params = res.ParamsRemoved
		} else {
			refused++
		}
		w.Params += params
	}
	return w, refused
}

func TestWeighIsOneBuildForEachBlock(t *testing.T) {
	t.Parallel()
	ones := func(n int) (v []uint32) {
		for i := range n {
			v = append(v, uint32(i%2))
		}
		return v
	}
	experts := []string{
		"attn_norm.weight 64", "attn_q.weight 64 64", "attn_k.weight 64 32", "attn_v.weight 64 32", "attn_output.weight 64 64",
		"ffn_norm.weight 64", "ffn_gate_inp.weight 64 8", "ffn_gate_exps.weight 64 96 8", "ffn_up_exps.weight 64 96 8", "ffn_down_exps.weight 96 64 8",
	}
	strange := []string{"attn_q.weight 64 64", "attn_strange.weight 64 64", "ffn_down.weight 96 64"}
	refusals, accepted := 0, 0
	for name, f := range map[string]fixture{
		"llama":                {arch: "llama", layers: 5, typ: gguf.Q8_0},
		"llama, one layer":     {arch: "llama", layers: 1},
		"biases":               {arch: "llama", layers: 3, layer: append([]string{"attn_q.bias 64", "ffn_down.bias 64", "layer_output_scale.weight 1"}, llamaLayer...)},
		"gemma2":               {arch: "gemma2", layers: 4, layer: append([]string{"post_attention_norm.weight 64", "post_ffw_norm.weight 64"}, llamaLayer...)},
		"gptneox":              {arch: "gptneox", layers: 4},
		"phi2":                 {arch: "phi2", layers: 6},
		"experts":              {arch: "qwen3moe", layers: 2, typ: gguf.Q8_0, layer: experts},
		"unknown":              {arch: "somethingnew", layers: 3, typ: gguf.Q8_0},
		"unknown, other names": {arch: "somethingnew", layers: 3, layer: strange},
		"no output":            {arch: "llama", layers: 2, layer: strange},
		"recurrent":            {arch: "mamba2", layers: 4, layer: []string{"attn_norm.weight 64", "ssm_in.weight 64 128", "ssm_out.weight 64 64", "ssm_a 1 2"}},
		"prediction head":      {arch: "llama", layers: 4, kvs: []any{"nextn_predict_layers", uint32(1)}},
		"unknown array":        {arch: "llama", layers: 6, kvs: []any{"strange", ones(6)}},
		"granite":              {arch: "granite", layers: 3, kvs: []any{"residual_scale", float32(0.22)}},
	} {
		file := f.open(t)
		blocks := trunkBlocks(file, f.layers)
		if name == "prediction head" {
			blocks = trunkBlocks(file, f.layers-1)
		}
		// Tensors that blocks share, that a block lists twice, and that the file lacks.
		blocks[0].Weights = append(blocks[0].Weights, "token_embd.weight", "token_embd.weight", "blk.0.missing.weight")
		last := len(blocks) - 1
		blocks[last].Weights = append(blocks[last].Weights, "token_embd.weight")
		sizes := Weigh(file, blocks)
		var all []blockmask.Block
		for _, b := range blocks {
			all = append(all, b.Block)
			want, refused := weighPlainly(file, blocks, []blockmask.Block{b.Block})
			if got := sizes.Of(b.Block); got != want || got.Bytes == 0 {
				t.Errorf("%s: %s holds %+v, want %+v", name, b.Block, got, want)
			}
			refusals += refused
			accepted += 1 - refused
		}
		for _, of := range [][]blockmask.Block{all, all[1:], {all[last], all[0], all[0]}, nil, {{Layer: 99}}} {
			want, _ := weighPlainly(file, blocks, of)
			if got := sizes.Of(of...); got != want {
				t.Errorf("%s: %v hold %+v, want %+v", name, of, got, want)
			}
		}
	}
	if refusals < 4 || accepted < 40 {
		t.Errorf("%d blocks no layout can do without, %d others: the fixtures do not show both", refusals, accepted)
	}
}

// Weigh of a source that no layout takes apart counts what the engine lists.
func TestWeighOfABrokenSource(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 3, kvs: []any{"block_count", uint32(2)}}.open(t)
	blocks := blocksOf(f)
	if _, err := Build(Request{Source: f, Blocks: blocks}); err == nil {
		t.Fatal("the source is sound")
	}
	b := blocks[0].Block
	want, _ := weighPlainly(f, blocks, []blockmask.Block{b})
	if got := Weigh(f, blocks).Of(b); got != want || got.Params != 64*64+2*64*32+64*64 {
		t.Errorf("%s holds %+v, want %+v", b, got, want)
	}
}
