package perplexity

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Token is a vocabulary index, as llama.cpp's llama_token.
type Token = int32

// Unscored in place of a target marks a position whose prediction does not count.
const Unscored Token = -1

// Sequence is one run of tokens that the model sees from its first position on. Targets has the length of Tokens;
// Targets[i] is the token that position i must predict, or [Unscored].
type Sequence struct {
	Tokens, Targets []Token

	// Ref, if not nil, makes the engine report another loss at the scored positions: the KL divergence in nats (at least 0) of
	// the masked model from the model that Ref was taken from. The sequences of a batch have all a Ref or none.
	Ref *Reference
}

// Scored returns the number of positions that count.
func (s Sequence) Scored() int {
	n := 0
	for _, t := range s.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Engine runs sequences through a model of which blocks can be left out.
type Engine interface {
	// Blocks returns all blocks that can be left out, in the order in which data flows.
	Blocks() []blockmask.Block

	// BatchTokens is the largest batch of one Eval: number of sequences times the length of the longest.
	BatchTokens() int

	// BatchSeqs is the largest number of sequences of one Eval.
	BatchSeqs() int

	// Eval runs batch with removed left out, then with removed and c left out for every c of candidates, in order. It calls
	// yield once for each: with i = -1 for the first, then with the candidate's index. nll[s][p] is the NLL in nats of
	// Targets[p] at position p of sequence s (0 where not scored) and valid only during the call. Logits that are not finite
	// give +Inf, never NaN. An error of yield ends Eval, which returns it.
	Eval(ctx context.Context, batch []Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
		yield func(i int, nll [][]float64) error) error
}

// Brancher is an engine that can do without the result of a batch's base run.
type Brancher interface {
	// EvalCandidates is [Engine.Eval] without the call for i = -1. The base run ends at the last boundary that a candidate
	// needs, and costs no output head.
	EvalCandidates(ctx context.Context, batch []Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
		yield func(i int, nll [][]float64) error) error
}

// Referencer is an engine that can tell what the whole model predicts.
type Referencer interface {
	// TopK returns one reference for each sequence: the k most probable tokens at its scored positions, as predicted by the
	// model without anything left out.
	TopK(ctx context.Context, batch []Sequence, k int) ([]*Reference, error)
}

// Influencer is an engine that can compare the residual stream before and after each block.
type Influencer interface {
	// Influence runs the whole model. The result's cosines are means over all positions of the batch.
	Influence(ctx context.Context, batch []Sequence) (Influence, error)
}

// Influence is how little each block turns the residual stream: the mean cosine between the stream before it and after it.
type Influence struct {
	Blocks    map[blockmask.Block]float64
	Layers    map[int]float64 // across both blocks of a layer, by its index
	Positions int             // that the means are over
}

// Tokenizer is a model's vocabulary.
type Tokenizer interface {
	// Tokenize returns the tokens of text. addSpecial adds what the model wants at the ends (BOS, EOS); parseSpecial reads
	// the names of special tokens in text as these tokens.
	Tokenize(text string, addSpecial, parseSpecial bool) ([]Token, error)
	BOS() Token   // -1 if the model has none
	AddBOS() bool // whether the model wants BOS at the start of a text
	AddEOS() bool // whether the model wants EOS at the end of a text
}
