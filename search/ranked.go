package search

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Ranked removes candidates in the order of values that are given once and for all: the frame of the baselines, which do not look
// at what is missing already. Scores are measured for what is removed only.
type Ranked struct {
	Scorer Scorer

	// Values returns one value for each candidate: the lowest goes first, the earliest on a tie.
	Values func(ctx context.Context, candidates []blockmask.Mask) ([]float64, error)

	name string
}

// Name returns the name of the baseline.
func (r *Ranked) Name() string { return r.name }

// Choose takes the candidate with the lowest value.
func (r *Ranked) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (Choice, error) {
	l, counts := r.Scorer.(*Ledger)
	spent := 0.0
	if counts {
		spent = l.Spent()
	}
	values, err := r.Values(ctx, candidates)
	if err != nil {
		return Choice{}, err
	}
	if len(values) != len(candidates) {
		return Choice{}, fmt.Errorf("%s gave %d values for %d candidates", r.name, len(values), len(candidates))
	}
	best := candidates[lowest(values)]
	base, scores, err := r.Scorer.Score(ctx, removed, []blockmask.Mask{best})
	if err != nil {
		return Choice{}, err
	}
	c := Choice{Base: base, Scored: []Candidate{{Mask: best, Score: scores[0]}}}
	if counts {
		c.Cost, c.PaperCost = l.Spent()-spent, l.PaperCost(removed, candidates)
	}
	return c, nil
}

// perBlock is a value of masks that is the sum of its blocks'.
func perBlock(value func(blockmask.Block) (float64, error)) func(context.Context, []blockmask.Mask) ([]float64, error) {
	return func(_ context.Context, candidates []blockmask.Mask) ([]float64, error) {
		values := make([]float64, len(candidates))
		for i, m := range candidates {
			for _, b := range m.Blocks() {
				v, err := value(b)
				if err != nil {
					return nil, err
				}
				values[i] += v
			}
		}
		return values, nil
	}
}
