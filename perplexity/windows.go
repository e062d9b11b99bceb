package perplexity

import (
	"slices"

	"github.com/ggufprune/ggufprune/engine"
)

// windowsOf cuts stream, a multiple of context tokens, into llama-perplexity's windows.
func windowsOf(stream []engine.Token, context int, tok engine.Tokenizer) []engine.Sequence {
	var out []engine.Sequence
	for w := range slices.Chunk(stream, context) {
		w = slices.Clone(w)
		if addsBOS(tok) {
			w[0] = tok.BOS()
		}
		out = append(out, predictNext(w, context/2))
	}
	return out
}

// WindowSet returns the windows that a base file was made of, as a model with the vocabulary tok sees them.
func WindowSet(name string, shape BaseShape, tok engine.Tokenizer) *Set {
	return &Set{Convention: Windows, Corpus: name, Context: shape.Context, Sequences: windowsOf(shape.Tokens, shape.Context, tok)}
}
