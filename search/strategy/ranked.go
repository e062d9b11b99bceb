package strategy

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// Ranked removes candidates in the order of values that are given once and for all: the frame of the baselines, which do not look
// at what is missing already. Scores are measured for what is removed only.
type Ranked struct {
	Scorer search.Scorer

	// Values returns one value for each candidate: the lowest goes first, the earliest on a tie.
	Values func(ctx context.Context, candidates []blockmask.Mask) ([]float64, error)

	name string
}

// Name returns the name of the baseline.
func (r *Ranked) Name() string { return r.name }

// Choose takes the candidate with the lowest value.
func (r *Ranked) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	l, counts := r.Scorer.(*search.Ledger)
	spent := 0.0
	if counts {
		spent = l.Spent()
	}
	values, err := r.Values(ctx, candidates)
	if err != nil {
		return search.Choice{}, err
	}
	if len(values) != len(candidates) {
		return search.Choice{}, fmt.Errorf("%s gave %d values for %d candidates", r.name, len(values), len(candidates))
	}
	best := candidates[lowest(values)]
	base, scores, err := r.Scorer.Score(ctx, removed, []blockmask.Mask{best})
	if err != nil {
		return search.Choice{}, err
	}
	c := search.Choice{Base: base, Scored: []search.Candidate{{Mask: best, Score: scores[0]}}}
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

// RankedCost returns what a step of a [Ranked] strategy costs, apart from what its values take: one candidate is measured.
func RankedCost(l *search.Ledger, unit blockmask.Unit) search.StepCost {
	return func(_ int, removed blockmask.Mask) float64 {
		return l.Predict(removed, middle(blockmask.Candidates(unit, l.Cost().Blocks, removed), 1), true)
	}
}
