package strategy

import (
	"context"
	"math/rand/v2"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// Oneshot returns the paper's one-shot variant: every candidate's score alone, measured once on the whole model, and no second look.
// Candidates that arise later (pairs that became neighbours) are measured on the whole model, too.
func Oneshot(s search.Scorer) *Ranked {
	known := map[string]float64{}
	return &Ranked{name: "oneshot", Scorer: s, Values: func(ctx context.Context, candidates []blockmask.Mask) ([]float64, error) {
		var missing []blockmask.Mask
		for _, c := range candidates {
			if _, ok := known[c.Key()]; !ok {
				missing = append(missing, c)
			}
		}
		if len(missing) > 0 {
			_, scores, err := s.Score(ctx, nil, missing)
			if err != nil {
				return nil, err
			}
			for i, c := range missing {
				known[c.Key()] = scores[i]
			}
		}
		values := make([]float64, len(candidates))
		for i, c := range candidates {
			values[i] = known[c.Key()]
		}
		return values, nil
	}}
}

// Magnitude returns the ranking by relative magnitude: norm gives the size of a block's weights, such as their root mean square,
// and the smallest go first. It looks at no text at all.
func Magnitude(s search.Scorer, norm func(blockmask.Block) (float64, error)) *Ranked {
	return &Ranked{name: "magnitude", Scorer: s, Values: perBlock(norm)}
}

// Random returns a ranking drawn from seed: what any other strategy must beat.
func Random(s search.Scorer, seed uint64) *Ranked {
	return &Ranked{name: "random", Scorer: s, Values: perBlock(func(b blockmask.Block) (float64, error) {
		return rand.New(rand.NewPCG(seed, uint64(b.Layer)<<1|uint64(b.Kind))).Float64(), nil
	})}
}
