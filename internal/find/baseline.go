package find

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// Influence measures Block Influence over the set, batch by batch.
func Influence(ctx context.Context, session engine.Runner, set *perplexity.Set) (engine.Influence, error) {
	influencer, ok := session.(engine.Influencer)
	if !ok {
		return engine.Influence{}, errors.New("this engine cannot measure Block Influence; use another strategy")
	}
	var parts []engine.Influence
	for _, batch := range sameLength(set.Sequences, session.BatchSeqs()) {
		part, err := influencer.Influence(ctx, batch)
		if err != nil {
			return engine.Influence{}, err
		}
		parts = append(parts, part)
	}
	return strategy.MeanInfluence(parts), nil
}

// sameLength groups sequences into batches of at most n, in which all have the same length: influence is a mean over all
// positions, and padding has none. Targets are set everywhere, since the engine wants every position.
func sameLength(seqs []engine.Sequence, n int) [][]engine.Sequence {
	open := map[int][]engine.Sequence{}
	var out [][]engine.Sequence
	var lengths []int
	for _, s := range seqs {
		all := engine.Sequence{Tokens: s.Tokens, Targets: s.Tokens}
		k := len(s.Tokens)
		if open[k] == nil {
			lengths = append(lengths, k)
		}
		if open[k] = append(open[k], all); len(open[k]) == n {
			out = append(out, open[k])
			open[k] = open[k][:0:0]
		}
	}
	for _, k := range lengths {
		if len(open[k]) > 0 {
			out = append(out, open[k])
			open[k] = nil
		}
	}
	return out
}

// normChunk is how many weights are decoded at once.
const normChunk = 1 << 20

// WeightNorm returns the root mean square of a block's weights, of whatever type they are. weights names the block's tensors.
func WeightNorm(ctx context.Context, c engine.Codec, f *gguf.File, weights func(blockmask.Block) []string) func(blockmask.Block) (float64, error) {
	known := map[blockmask.Block]float64{}
	return func(b blockmask.Block) (float64, error) {
		if v, ok := known[b]; ok {
			return v, nil
		}
		sum, n := 0.0, 0.0
		for _, name := range weights(b) {
			t, ok := f.Tensor(name)
			if !ok {
				continue // a view or a scale that is no tensor of the file
			}
			x, err := squares(ctx, c, f, t)
			if err != nil {
				return 0, fmt.Errorf("tensor %s: %w", name, err)
			}
			sum, n = sum+x, n+float64(t.Elements())
		}
		if n == 0 {
			return 0, fmt.Errorf("block %s has no weights in the file", b)
		}
		known[b] = math.Sqrt(sum / n)
		return known[b], nil
	}
}

// squares returns the sum of the squares of a tensor's weights.
func squares(ctx context.Context, c engine.Codec, f *gguf.File, t gguf.Tensor) (float64, error) {
	per := max(1, t.Type.BlockSize())
	weights := make([]float32, normChunk/per*per)
	data := make([]byte, uint64(len(weights))/per*t.Type.TypeSize())
	r := f.Data(t)
	sum := 0.0
	for left := t.Elements(); left > 0; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(left, uint64(len(weights)))
		raw := data[:n/per*t.Type.TypeSize()]
		if _, err := io.ReadFull(r, raw); err != nil {
			return 0, err
		}
		if err := c.ToFloat(uint32(t.Type), raw, weights[:n]); err != nil {
			return 0, err
		}
		for _, w := range weights[:n] {
			sum += float64(w) * float64(w)
		}
		left -= n
	}
	return sum, nil
}
