package search

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Strategy decides what is removed next.
type Strategy interface {
	// Name is the strategy's name in reports and plans.
	Name() string

	// Choose picks one of candidates (never empty, in the order in which ties break) to remove after removed.
	Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (Choice, error)
}

// Finisher is a strategy that estimates scores, and measures the last one properly.
type Finisher interface {
	// Finish returns the score of the model without removed, which is what the last step left, as a choice's base.
	Finish(ctx context.Context, removed blockmask.Mask) (Choice, error)
}

// Estimator is a strategy that estimates scores unless it is told to measure them all.
type Estimator interface {
	MeasureAll()
}

// Scorer measures masks. Scores are lower for better models and +Inf for broken ones.
type Scorer interface {
	// Score returns the score with removed left out, and with removed and c left out for every c of candidates, in order.
	Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (base float64, scores []float64, err error)
}

// Choice is a strategy's decision.
type Choice struct {
	Base   float64     // score of what was removed before
	Scored []Candidate // what was evaluated for it
	Best   int         // index into Scored of what to remove

	// Cost of the choice in block-tokens, and of the same step by the paper's procedure; 0 where it is not counted.
	Cost, PaperCost float64
}

// Candidate is something that a step could remove, with the score of the model without it and all earlier removals.
type Candidate struct {
	Mask  blockmask.Mask
	Score float64

	// Sequences is how many the score was estimated from; 0 means that it was measured on the whole set.
	Sequences int
}

// Step is one removal. Its numbers describe the model after it.
type Step struct {
	Index         int // from 1
	Removed       blockmask.Mask
	Score         float64
	ParamsRemoved uint64 // by all steps so far
	Ratio         float64
	Size          int64 // predicted bytes of the output; 0 = unknown
	Candidates    []Candidate

	Speedup         float64 // predicted, of the whole model; 0 = unknown
	Cost, PaperCost float64 // of the choice, in block-tokens: see Choice
}

// Sequences returns how many sequences the step's score was estimated from; 0 means that it was measured on the whole set.
func (s *Step) Sequences() int {
	for _, c := range s.Candidates {
		if c.Mask.Equal(s.Removed) {
			return c.Sequences
		}
	}
	return 0
}

// Result is how far a search came.
type Result struct {
	Base  float64 // score of the whole model; NaN before the first step
	Steps []Step
}

// Removed returns everything that the steps remove.
func (r *Result) Removed() blockmask.Mask {
	var m blockmask.Mask
	for _, s := range r.Steps {
		m = m.Union(s.Removed)
	}
	return m
}
