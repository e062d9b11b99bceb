package engine

import "context"

// SessionParams sizes a session. One batch holds up to NSeq x SeqLen tokens and is computed as one graph, unless Batch or UBatch say
// otherwise.
type SessionParams struct {
	NSeq, SeqLen int
	Threads      int    // 0: one for each physical core
	FlashAttn    string // "auto" (default), "on", "off"
	Unedited     bool   // a stock llama.cpp context: nothing can be left out
	Batch        int    // -b, in an unedited session: tokens per decode, of which several make a longer sequence; 0 = the whole batch
	UBatch       int    // -ub, likewise: tokens per graph; at most Batch
}

// Runner runs sequences through a model of which blocks can be left out.
type Runner interface {
	// Blocks returns all blocks that can be left out, in the order in which data flows; none in an unedited session.
	Blocks() []Block

	// BatchTokens is the largest batch of one Eval: number of sequences times the length of the longest.
	BatchTokens() int

	// BatchSeqs is the largest number of sequences of one Eval.
	BatchSeqs() int

	// Eval runs batch with removed left out, then with removed and c left out for every c of candidates, in order. It calls
	// yield once for each: with i = -1 for the first, then with the candidate's index. nll[s][p] is the NLL in nats of
	// Targets[p] at position p of sequence s (0 where not scored) and valid only during the call. Logits that are not finite
	// give +Inf, never NaN. An error of yield ends Eval, which returns it.
	Eval(ctx context.Context, batch []Sequence, removed Mask, candidates []Mask, yield Yield) error
}

// Yield receives the losses of one run of a batch: i = -1 is the base, else the index of the candidate.
type Yield = func(i int, nll [][]float64) error

// Session is a context on a model. One goroutine at a time may use it.
type Session interface {
	Runner

	// Weights names the matrices and biases of a block; its norms are not among them.
	Weights(b Block) []string

	// EvalPlain is the reference for Eval: full logits, and their log-softmax on the host, as llama-perplexity computes it. It
	// gives NLLs also where the batch has references. In an unedited session removed must be empty.
	EvalPlain(ctx context.Context, batch []Sequence, removed Mask) ([][]float64, error)

	// Logits calls row for every scored position of the batch, in order, with the logits of the model without removed: one
	// for each token of the vocabulary, valid until the session's next call.
	Logits(ctx context.Context, batch []Sequence, removed Mask, row func(seq, pos int, logits []float32) error) error

	Close()
}

// Brancher is a runner that can do without the result of a batch's base run.
type Brancher interface {
	// EvalCandidates is [Runner.Eval] without the call for i = -1. The base run ends at the last boundary that a candidate
	// needs, and costs no output head.
	EvalCandidates(ctx context.Context, batch []Sequence, removed Mask, candidates []Mask, yield Yield) error
}

// Referencer is a runner that can tell what the whole model predicts.
type Referencer interface {
	// TopK returns one reference for each sequence: the k most probable tokens at its scored positions, as predicted by the
	// model without anything left out.
	TopK(ctx context.Context, batch []Sequence, k int) ([]*Reference, error)
}

// Influencer is a runner that can compare the residual stream before and after each block.
type Influencer interface {
	// Influence runs the whole model. The result's cosines are means over all positions of the batch.
	Influence(ctx context.Context, batch []Sequence) (Influence, error)
}

// Influence is how little each block turns the residual stream: the mean cosine between the stream before it and after it.
type Influence struct {
	Blocks    map[Block]float64
	Layers    map[int]float64 // across both blocks of a layer, by its index
	Positions int             // that the means are over
}

// Next is one token that a sequence goes on with.
type Next struct {
	Token    Token
	Seq, Pos int // sequence, and the token's position in it; position 0 forgets what the sequence was before
}

// Stepper is an unedited session that can run one token of each of several sequences.
type Stepper interface {
	// Step calls row for each element of in, in order, with the logits of what follows it. They are valid only during the call.
	Step(ctx context.Context, in []Next, row func(i int, logits []float32) error) error
}
