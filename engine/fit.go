package engine

import "context"

// BlockRunner runs single blocks of a loaded model, and changes its weights. Boundary i lies before the i-th block, boundary
// len(Blocks()) behind the last; a stream is (positions, n_embd) floats. The sequences of a batch are of one length, and all their
// positions are scored.
type BlockRunner interface {
	Blocks() []Block

	// Segment runs from boundary start (-1: the embeddings, in is nil) to stop and returns the stream there. It fills taps.
	Segment(ctx context.Context, batch []Sequence, removed Mask, start, stop int, in []float32, taps ...*Tap) ([]float32, error)

	// EvalFrom returns the losses of every position, from boundary start on.
	EvalFrom(ctx context.Context, batch []Sequence, removed Mask, start int, in []float32) ([][]float64, error)

	// Product adds aᵀb, summed over n rows, to acc; a is (n, ka), b (n, kb), acc (ka, kb). It runs in single precision on the
	// device that holds weight, "" being any; acc is double.
	Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error

	// SetWeight overwrites a weight of the loaded model, for all its sessions. data is as in the file, of the same type and
	// shape. The model must have been loaded with NoMmap.
	SetWeight(name string, data []byte) error
}

// Tap is what a weight's matrix is multiplied with at every position, and what its product is multiplied with on its way into the
// stream. The caller sets Weight and the runner the rest. u = max(Used, 1) is the number of matrices that work on a position.
type Tap struct {
	Weight    string
	K         int       // inputs
	Used      int       // experts for each position; 0: there is one matrix for all positions
	Features  []float32 // (positions, u, K)
	Scale     []float32 // (positions, u)
	BiasScale []float32 // (positions, u), what a bias behind it is multiplied with
	Experts   []int32   // (positions, Used)
	Norm      []float32 // the weight of the RMS norm behind the product, n_embd numbers; nil: none. Scale acts in front of it
	Eps       float64   // of that norm
	Refused   string    // why nothing else is filled in: the product does not enter the stream in that way
}

// Codec decodes and encodes the weights of ggml's types.
type Codec interface {
	// ToFloat decodes data of a ggml type into weights, whose length is a multiple of the type's block.
	ToFloat(ggmlType uint32, data []byte, weights []float32) error
	// FromFloat encodes rows of perRow weights in a ggml type. importance says how much each column matters; it may be nil,
	// except for the types that need it.
	FromFloat(ggmlType uint32, weights []float32, perRow int, importance []float32) ([]byte, error)
}
