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
	// Segment runs from boundary start (-1: the embeddings, in is nil) to stop and returns the stream there. It fills taps.
	Segment(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*Tap) ([]float32, error)
	// EvalFrom returns the losses of every position, from boundary start on.
	EvalFrom(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, start int, in []float32) ([][]float64, error)
	// Product adds a^T b, summed over n rows, to acc; a is (n, ka), b (n, kb), acc (ka, kb). It runs where weight is, "" being any.
	Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error
	// SetWeight overwrites a weight of the loaded model.
	SetWeight(name string, data []byte) error
}

// Tap is what a weight's matrix is multiplied with at every position, and what its product is multiplied with on its way into the stream.
// With u = max(Used, 1), the number of matrices that work on a position, the engine fills in:
type Tap struct {
	Weight    string
	K         int       // inputs
	Used      int       // experts for each position; 0: there is one matrix for all positions
	Features  []float32 // (positions, u, K)
	Scale     []float32 // (positions, u)
	BiasScale []float32 // (positions, u), what a bias behind it is multiplied with
	Experts   []int32   // (positions, Used)
	Refused   string    // why there is nothing of all this: the product does not enter the stream in that way
}

// Projection is an output projection of a block: a matrix whose product is added to the stream, or one matrix for each expert.
type Projection struct {
	Name    string
	In, Out int       // k and n_embd: it is stored as Out rows of In weights, for one expert after the other
	Experts int       // 0: it is one matrix
	Weights []float32 // decoded
	Bias    []float32 // added behind it, Out numbers for each expert; nil if there is none
	Data    []byte    // as in the file
}

// matrices is the number of matrices.
func (p *Projection) matrices() int { return max(1, p.Experts) }

// Weights reads and encodes weights.
type Weights interface {
	// Projections finds the output projections of a block. reason says why they cannot be repaired.
	Projections(b blockmask.Block) (all []*Projection, reason string, err error)
	// Encode turns rows of weights into what the file holds, by p's type. importance is the mean square of each input.
	Encode(p *Projection, weights, importance []float32) ([]byte, error)
}
