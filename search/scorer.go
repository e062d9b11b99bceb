package search

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Scorer measures masks. Scores are lower for better models and +Inf for broken ones.
type Scorer interface {
	// Score returns the score with removed left out, and with removed and c left out for every c of candidates, in order.
	Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (base float64, scores []float64, err error)
}
