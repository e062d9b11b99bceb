package source

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
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

// Sizes tells what the source's blocks hold. It is worked out once.
func (s *Source) Sizes(blocks []layout.Block) *layout.Sizes {
	if s.sizes == nil {
		s.sizes = layout.Weigh(s.File, blocks)
	}
	return s.sizes
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
