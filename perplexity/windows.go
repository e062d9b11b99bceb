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

// WindowSet returns the windows of context tokens that stream was cut into before, for a base file (package kld), as a model with the
// vocabulary tok sees them.
func WindowSet(name string, stream []engine.Token, context int, tok engine.Tokenizer) *Set {
	return &Set{Convention: Windows, Corpus: name, Context: context, Sequences: windowsOf(stream, context, tok)}
}
