package strategy

// The greedy search of BlockPruner (arXiv 2406.10594), exactly.
//
// Which blocks can a model do without? Trying all subsets is out of reach: 20 of 64 blocks are 2*10^16 subsets. The paper
// removes one block at a time. With the blocks R already gone, it measures the perplexity of the model without R and b, for
// every block b that is left, and adds to R the b with the lowest. It measures anew in each step, since what a block is worth
// changes with what else is missing: two blocks that can replace each other both look useless until one of them goes.
//
// For N blocks and K steps that is N + (N-1) + ... + (N-K+1) evaluations, about 950 for a model of 32 layers at 25 %. The
// scorer is asked for all candidates of a step at once: it knows how to share work between them (all candidates have R in
// common, and the model is the same up to the block in question), and a strategy does not need to.
//
// Ties break on the order of the candidates: the lower layer first, the mixer before the FFN. A score that is not finite
// loses against every finite one, so a removal that makes the model explode is never chosen.

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// Greedy evaluates every candidate in every step and removes the best.
type Greedy struct{ Scorer search.Scorer }

// Name returns "greedy".
func (Greedy) Name() string { return "greedy" }

// Choose scores all candidates and picks the lowest score, the earliest on a tie.
func (g Greedy) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	spent := 0.0
	l, counts := g.Scorer.(*search.Ledger)
	if counts {
		spent = l.Spent()
	}
	base, scores, err := g.Scorer.Score(ctx, removed, candidates)
	if err != nil {
		return search.Choice{}, err
	}
	if len(scores) != len(candidates) {
		return search.Choice{}, fmt.Errorf("scorer gave %d scores for %d candidates", len(scores), len(candidates))
	}
	c := search.Choice{Base: base, Scored: make([]search.Candidate, len(scores)), Best: lowest(scores)}
	for i, s := range scores {
		c.Scored[i] = search.Candidate{Mask: candidates[i], Score: s}
	}
	if counts {
		c.Cost, c.PaperCost = l.Spent()-spent, l.PaperCost(removed, candidates)
	}
	return c, nil
}

// GreedyCost returns what a step of [Greedy] costs: exactly that.
func GreedyCost(l *search.Ledger, unit blockmask.Unit) search.StepCost {
	return func(step int, removed blockmask.Mask) float64 {
		return l.Predict(removed, blockmask.Candidates(unit, l.Cost().Blocks, removed), step == 1)
	}
}
