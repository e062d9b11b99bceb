package compare

import (
	"bytes"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Tokenizers are compared by these keys.
const (
	tokenizerModel  = "tokenizer.ggml.model"
	tokenizerPre    = "tokenizer.ggml.pre"
	tokenizerTokens = "tokenizer.ggml.tokens"
)

// sameVocabulary reports whether two files have the same tokens of the same kind of tokenizer. What one of them does not say, as
// older files do not, is no difference: whether they split a text alike is seen when they run.
func sameVocabulary(a, b *gguf.File) bool {
	x, y := source.Text(a, tokenizerPre), source.Text(b, tokenizerPre)
	if x != "" && y != "" && x != y || source.Text(a, tokenizerModel) != source.Text(b, tokenizerModel) {
		return false
	}
	for _, key := range []string{"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"} {
		x, ok, _ := a.Bool(key) // what is no truth value counts as unsaid
		y, also, _ := b.Bool(key)
		if ok && also && x != y {
			return false
		}
	}
	tokens, ok := a.KV(tokenizerTokens)
	others, also := b.KV(tokenizerTokens)
	return ok == also && bytes.Equal(tokens.Raw, others.Raw)
}

// sameModel reports whether b may be taken for another quantisation of a, by all that its header says: a fine-tune of the same
// shape, another version, or what another program pruned is none. In doubt it is false, since a verdict on another model misleads.
func sameModel(a, b *gguf.File) bool {
	return a.Arch() == b.Arch() && !ours(b) && sameVocabulary(a, b) && source.Text(a, tokenizerPre) == source.Text(b, tokenizerPre) &&
		sameNames(a, b) && sameShapes(a, b) && sameNorm(a, b)
}

// ours reports whether this program wrote a file.
func ours(f *gguf.File) bool {
	return slices.ContainsFunc(f.KVs(), func(kv gguf.KV) bool { return strings.HasPrefix(kv.Key, "ggufprune.") })
}

// sameNames reports whether two files name the same model: by the parts of the name (see GGUF's naming convention) where both have
// them, else by the whole name.
func sameNames(a, b *gguf.File) bool {
	same := func(key string) bool { return strings.EqualFold(source.Text(a, key), source.Text(b, key)) }
	for _, key := range []string{"general.finetune", "general.version"} {
		if !same(key) {
			return false
		}
	}
	for _, key := range []string{"general.basename", "general.size_label"} {
		if source.Text(a, key) == "" || source.Text(b, key) == "" {
			return source.Text(a, "general.name") != "" && same("general.name")
		}
	}
	return same("general.basename") && same("general.size_label")
}

// sameShapes reports whether two files have the same blocks. Tensors outside of them may differ: some files repeat a tied
// output matrix, some have factors that others leave to llama.cpp.
func sameShapes(a, b *gguf.File) bool {
	blocks := func(f *gguf.File) (n int) {
		for _, t := range f.Tensors() {
			if strings.HasPrefix(t.Name, "blk.") && strings.HasSuffix(t.Name, ".weight") {
				n++
			}
		}
		return n
	}
	for _, t := range a.Tensors() {
		if t.Name != "token_embd.weight" && !(strings.HasPrefix(t.Name, "blk.") && strings.HasSuffix(t.Name, ".weight")) {
			continue
		}
		if o, ok := b.Tensor(t.Name); !ok || !slices.Equal(t.Dims, o.Dims) {
			return false
		}
	}
	return blocks(a) == blocks(b)
}

// sameNorm compares the norm before the output, a row of numbers that quantisers leave as it is: training that began from the same
// model changes it. Files without it in F32 pass.
func sameNorm(a, b *gguf.File) bool {
	const name = "output_norm.weight"
	read := func(f *gguf.File) ([]byte, bool) {
		t, ok := f.Tensor(name)
		if !ok || t.Type != gguf.F32 {
			return nil, false
		}
		data := make([]byte, t.Size)
		_, err := f.Data(t).ReadAt(data, 0)
		return data, err == nil
	}
	x, ok := read(a)
	y, also := read(b)
	return !ok || !also || bytes.Equal(x, y)
}
