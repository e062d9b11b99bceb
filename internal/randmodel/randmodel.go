// Package randmodel writes models with random weights and the shapes of real ones: what costs time in them is what costs time
// in the real ones. For benchmarks and tests; nothing in them was trained.
package randmodel

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// Shape is the size of a decoder of the llama family.
type Shape struct {
	Name                string
	Arch                string // "llama" or "qwen2"
	Layers, Embd        int
	Heads, KVHeads, FFN int
	Vocab               int
	RopeBase            float32
}

// The shapes of the benchmarks.
var (
	Qwen05B = Shape{Name: "Qwen2.5-0.5B shape", Arch: "qwen2", Layers: 24, Embd: 896, Heads: 14, KVHeads: 2, FFN: 4864, Vocab: 151936, RopeBase: 1e6}
	Llama1B = Shape{Name: "Llama-3.2-1B shape", Arch: "llama", Layers: 16, Embd: 2048, Heads: 32, KVHeads: 8, FFN: 8192, Vocab: 128256, RopeBase: 5e5}
)

// Write writes a Q8_0 model of shape s, with tied embeddings as the real small models have, to path.
func Write(ctx context.Context, path string, s Shape, seed uint64) error {
	b := builder{shape: s, rng: rand.New(rand.NewPCG(seed, 0))}
	b.metadata()
	b.tensors()
	if b.err != nil {
		return b.err
	}
	p, err := gguf.WriteTemp(ctx, path, &b.plan, gguf.WriteOptions{Force: true})
	if err != nil {
		return err
	}
	defer p.Discard()
	_, err = p.Commit()
	return err
}

type builder struct {
	shape Shape
	rng   *rand.Rand
	plan  gguf.Plan
	err   error
}

func (b *builder) kv(key string, v any) {
	kv, err := gguf.NewKV(key, v)
	if err != nil && b.err == nil {
		b.err = err
	}
	b.plan.KVs = append(b.plan.KVs, kv)
}

func (b *builder) metadata() {
	s := b.shape
	b.kv("general.architecture", s.Arch)
	b.kv("general.name", s.Name)
	b.kv("general.file_type", uint32(7))
	for key, v := range map[string]int{
		"block_count": s.Layers, "context_length": 32768, "embedding_length": s.Embd, "feed_forward_length": s.FFN,
		"attention.head_count": s.Heads, "attention.head_count_kv": s.KVHeads, "vocab_size": s.Vocab,
	} {
		b.kv(s.Arch+"."+key, uint32(v))
	}
	b.kv(s.Arch+".attention.layer_norm_rms_epsilon", float32(1e-5))
	b.kv(s.Arch+".rope.freq_base", s.RopeBase)
	tokens, scores, types := vocabulary(s.Vocab)
	b.kv("tokenizer.ggml.model", "llama")
	b.kv("tokenizer.ggml.tokens", tokens)
	b.kv("tokenizer.ggml.scores", scores)
	b.kv("tokenizer.ggml.token_type", types)
	b.kv("tokenizer.ggml.bos_token_id", uint32(1))
	b.kv("tokenizer.ggml.eos_token_id", uint32(2))
}

func (b *builder) tensors() {
	s := b.shape
	hd := s.Embd / s.Heads
	b.matrix("token_embd.weight", s.Embd, s.Vocab)
	b.vector("output_norm.weight", s.Embd, 1)
	for l := range s.Layers {
		p := fmt.Sprintf("blk.%d.", l)
		b.vector(p+"attn_norm.weight", s.Embd, 1)
		b.matrix(p+"attn_q.weight", s.Embd, s.Heads*hd)
		b.matrix(p+"attn_k.weight", s.Embd, s.KVHeads*hd)
		b.matrix(p+"attn_v.weight", s.Embd, s.KVHeads*hd)
		b.matrix(p+"attn_output.weight", s.Heads*hd, s.Embd)
		if s.Arch == "qwen2" {
			b.vector(p+"attn_q.bias", s.Heads*hd, 0)
			b.vector(p+"attn_k.bias", s.KVHeads*hd, 0)
			b.vector(p+"attn_v.bias", s.KVHeads*hd, 0)
		}
		b.vector(p+"ffn_norm.weight", s.Embd, 1)
		b.matrix(p+"ffn_gate.weight", s.Embd, s.FFN)
		b.matrix(p+"ffn_up.weight", s.Embd, s.FFN)
		b.matrix(p+"ffn_down.weight", s.FFN, s.Embd)
	}
}

// matrix adds a Q8_0 tensor of values around 0.02: blocks of an f16 scale and 32 int8.
func (b *builder) matrix(name string, in, out int) {
	buf := make([]byte, out*(in/32)*34)
	for i := 0; i < len(buf); i += 34 {
		binary.LittleEndian.PutUint16(buf[i:], 0x0a8f) // f16, 2e-4
		for j := i + 2; j+8 <= i+34; j += 8 {
			binary.LittleEndian.PutUint64(buf[j:], b.rng.Uint64())
		}
	}
	b.plan.Tensors = append(b.plan.Tensors, gguf.PlanTensor{Name: name, Type: gguf.Q8_0, Dims: []uint64{uint64(in), uint64(out)}, Data: gguf.Bytes(buf)})
}

func (b *builder) vector(name string, n int, v float32) {
	var buf []byte
	for range n {
		var err error
		if buf, err = binary.Append(buf, binary.LittleEndian, v+0.01*float32(b.rng.NormFloat64())); err != nil {
			b.err = err
		}
	}
	b.plan.Tensors = append(b.plan.Tensors, gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: []uint64{uint64(n)}, Data: gguf.Bytes(buf)})
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// vocabulary is a SentencePiece one: specials, bytes, letters, and made-up words so that it has n tokens.
func vocabulary(n int) (tokens []string, scores []float32, types []int32) {
	add := func(t string, score float32, typ int32) {
		tokens, scores, types = append(tokens, t), append(scores, score), append(types, typ)
	}
	add("<unk>", 0, 2)
	add("<s>", 0, 3)
	add("</s>", 0, 3)
	for i := range 256 {
		add(fmt.Sprintf("<0x%02X>", i), 0, 6)
	}
	add("▁", -1e6, 1)
	for _, c := range letters {
		add(string(c), -1e6, 1)
		add("▁"+string(c), -1e3, 1)
	}
	for i := 0; len(tokens) < n; i++ {
		word, k := "", i
		for range 5 {
			word += string(letters[k%26])
			k /= 26
		}
		add("▁"+word, -float32(i), 1)
	}
	return tokens[:n], scores[:n], types[:n]
}

// Text is English-looking noise of about n words.
func Text(n int, seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for range n {
		for range 1 + rng.IntN(7) {
			b.WriteByte(letters[rng.IntN(26)])
		}
		b.WriteByte(' ')
	}
	return b.String()
}
