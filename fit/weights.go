package fit

import (
	"github.com/ggufprune/ggufprune/blockmask"
)

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
	// Decode is what Encode's bytes mean.
	Decode(p *Projection, data []byte) ([]float32, error)
	// Grain is how many weights of a row p's type encodes together.
	Grain(p *Projection) int
	// Spread is what the loaded model is to hold of a tensor that lost columns, of which a file has data: with zeros for the others. Nil:
	// it has a type that cannot hold that exactly.
	Spread(p *Projection, n Narrowed) ([]byte, error)
}
