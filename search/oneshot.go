package search

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Oneshot returns the paper's one-shot variant: every candidate's score alone, measured once on the whole model, and no second look.
// Candidates that arise later (pairs that became neighbours) are measured on the whole model, too.
func Oneshot(s Scorer) *Ranked {
	known := map[string]float64{}
	return &Ranked{name: "oneshot", Scorer: s, Values: func(ctx context.Context, candidates []blockmask.Mask) ([]float64, error) {
		var missing []blockmask.Mask
		for _, c := range candidates {
			if _, ok := known[c.String()]; !ok {
				missing = append(missing, c)
			}
		}
		if len(missing) > 0 {
			_, scores, err := s.Score(ctx, nil, missing)
			if err != nil {
				return nil, err
			}
			for i, c := range missing {
				known[c.String()] = scores[i]
			}
		}
		values := make([]float64, len(candidates))
		for i, c := range candidates {
			values[i] = known[c.String()]
		}
		return values, nil
	}}
}
