package gguftest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// Llama is a llama model of some layers and tiny dimensions (width 64, 2 heads, 1 KV head, FFN 96, 8 tokens) with F32
// weights that seed fixes. It has the metadata that matters for the layout of the file, but no vocabulary to speak of.
func Llama(layers int, seed uint64) Model {
	const d, kv, ff, vocab = 64, 32, 96, 8
	m := Model{KVs: []KV{
		{"general.architecture", "llama"},
		{"general.name", "Tiny"},
		{"llama.block_count", uint32(layers)},
		{"llama.context_length", uint32(128)},
		{"llama.embedding_length", uint32(d)},
		{"llama.feed_forward_length", uint32(ff)},
		{"llama.attention.head_count", uint32(2)},
		{"llama.attention.head_count_kv", uint32(1)},
		{"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
		{"tokenizer.ggml.model", "llama"},
		{"tokenizer.ggml.tokens", []string{"<unk>", "<s>", "</s>", " ", "\n", "a", " a", "ab\t"}},
	}}
	r := rand.New(rand.NewPCG(seed, 1))
	add := func(name string, dims ...uint64) {
		n := uint64(1)
		for _, x := range dims {
			n *= x
		}
		data := make([]byte, 0, 4*n)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(r.NormFloat64()/8)))
		}
		m.Tensors = append(m.Tensors, Tensor{Name: name, Dims: dims, Data: data})
	}
	add("token_embd.weight", d, vocab)
	for i := range layers {
		blk := fmt.Sprintf("blk.%d.", i)
		add(blk+"attn_norm.weight", d)
		add(blk+"attn_q.weight", d, d)
		add(blk+"attn_k.weight", d, kv)
		add(blk+"attn_v.weight", d, kv)
		add(blk+"attn_output.weight", d, d)
		add(blk+"ffn_norm.weight", d)
		add(blk+"ffn_gate.weight", d, ff)
		add(blk+"ffn_up.weight", d, ff)
		add(blk+"ffn_down.weight", ff, d)
	}
	add("output_norm.weight", d)
	add("output.weight", d, vocab)
	return m
}
