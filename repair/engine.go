package repair

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Engine runs single blocks of a loaded model. llamabind.Session is one. Boundary i lies before the i-th block, boundary len(Blocks)
// behind the last; a stream is (positions, n_embd) floats.
type Engine interface {
	Blocks() []blockmask.Block
	// Segment runs from boundary start (-1: the embeddings) to stop and returns the stream there. What the weight tap is multiplied
	// with, (positions, k), goes to features, if tap is not "".
	Segment(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, start, stop int, in []float32, tap string, features []float32) ([]float32, error)
	// EvalFrom returns the losses of every position, from boundary start on.
	EvalFrom(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, start int, in []float32) ([][]float64, error)
	// Product adds a^T b, summed over n rows, to acc; a is (n, ka), b (n, kb), acc (ka, kb). It runs where weight is, "" being any.
	Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error
	// SetWeight overwrites a weight of the loaded model.
	SetWeight(name string, data []byte) error
}

// Projection is the output projection of a block: the matrix whose product is what the block adds to the stream.
type Projection struct {
	Name    string
	In, Out int       // k and n_embd: it is stored as Out rows of In weights
	Weights []float32 // decoded
	Bias    []float32 // added behind it; nil if there is none
	Data    []byte    // as in the file
}

// Weights reads and encodes weights.
type Weights interface {
	// Projection finds the output projection of a block. reason says why it has none that can be repaired.
	Projection(b blockmask.Block) (p *Projection, reason string, err error)
	// Encode turns weights into what the file holds, by p's type. importance is the mean square of each input.
	Encode(p *Projection, weights, importance []float32) ([]byte, error)
}
