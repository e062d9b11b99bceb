package source

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
)

// LayoutBlocks returns the model's blocks as package layout takes them.
func LayoutBlocks(s engine.Session) []layout.Block {
	var out []layout.Block
	for _, b := range s.Blocks() {
		out = append(out, layout.Block{Block: b, Weights: s.Weights(b)})
	}
	return out
}

// Weights counts what is stored of some blocks.
type Weights struct {
	Params uint64
	Bytes  int64 // of tensor data
}

// BlockWeights returns what the blocks of mask hold in f: Params as package layout counts them, norms included, Bytes of
// their matrices and biases. A tensor that blocks share counts once.
func BlockWeights(f *gguf.File, blocks []layout.Block, mask blockmask.Mask) Weights {
	var w Weights
	seen := map[string]bool{}
	for _, b := range blocks {
		if !mask.Has(b.Block) {
			continue
		}
		var params uint64
		for _, name := range b.Weights {
			if t, ok := f.Tensor(name); ok && !seen[name] {
				seen[name] = true
				params += t.Elements()
				w.Bytes += t.Size
			}
		}
		// The engine does not list norms. A block that no layout can do without keeps the count of its matrices.
		res, err := layout.Build(layout.Request{Source: f, Blocks: blocks, Removed: blockmask.New(b.Block)})
		if err == nil {
			params = res.ParamsRemoved
		}
		w.Params += params
	}
	return w
}

// sessionTokens is the batch of a context that is opened only to find the model's blocks.
const sessionTokens = 32

// FindBlocks returns the blocks that llama.cpp's graph of the model has.
func (s *Source) FindBlocks(ctx context.Context) ([]layout.Block, error) {
	session, err := s.Session(ctx, 1, sessionTokens)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return LayoutBlocks(session), nil
}

// PlainBlocks returns the blocks without their weights.
func PlainBlocks(blocks []layout.Block) []blockmask.Block {
	out := make([]blockmask.Block, len(blocks))
	for i, b := range blocks {
		out[i] = b.Block
	}
	return out
}
