package strategy

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/search"
)

// BI returns the ranking by ShortGPT's Block Influence (arXiv 2403.03853): 1 - the mean cosine between the residual stream before and
// after. What turns the stream least goes first. A whole layer has the influence of the layer, not the sum of its halves'.
// influence is measured on the whole model, once.
func BI(s search.Scorer, influence func(context.Context) (engine.Influence, error)) *Ranked {
	var got engine.Influence
	return &Ranked{name: "bi", Scorer: s, Values: func(ctx context.Context, candidates []blockmask.Mask) ([]float64, error) {
		if got.Blocks == nil {
			var err error
			if got, err = influence(ctx); err != nil {
				return nil, err
			}
		}
		values := make([]float64, len(candidates))
		for i, c := range candidates {
			if cos, ok := got.Layers[c[0].Layer]; ok && len(c) > 1 && c[0].Layer == c[len(c)-1].Layer {
				values[i] = 1 - cos
				continue
			}
			for _, b := range c.Blocks() {
				cos, ok := got.Blocks[b]
				if !ok {
					return nil, fmt.Errorf("the engine reported no influence of block %s", b)
				}
				values[i] += 1 - cos
			}
		}
		return values, nil
	}}
}

// MeanInfluence adds up the influences of batches, each with its number of positions.
func MeanInfluence(parts []engine.Influence) engine.Influence {
	sum := engine.Influence{Blocks: map[blockmask.Block]float64{}, Layers: map[int]float64{}}
	for _, p := range parts {
		sum.Positions += p.Positions
	}
	for _, p := range parts {
		weight := float64(p.Positions) / float64(sum.Positions)
		for b, cos := range p.Blocks {
			sum.Blocks[b] += weight * cos
		}
		for layer, cos := range p.Layers {
			sum.Layers[layer] += weight * cos
		}
	}
	return sum
}
