package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// withMetric returns the set with the metric's losses. For a divergence the whole model runs once, and what it predicts is kept.
func withMetric(ctx context.Context, session engine.Session, set *perplexity.Set, metric perplexity.Metric, rep Reporter) (*perplexity.Set, error) {
	if metric != perplexity.KLD {
		return set, nil
	}
	rep.Notef("KL divergence: the %d most probable tokens of %d positions are kept, %s of memory",
		perplexity.TopTokens, set.Scored(), memory(perplexity.ReferenceBytes(set, perplexity.TopTokens)))
	bar := rep.Start("what the whole model predicts", int64(len(set.Sequences)))
	defer bar.Stop()
	return perplexity.WithReferences(ctx, session, set, perplexity.TopTokens, func(done int) { bar.Set(int64(done), "") })
}

// plainSet returns the set with log-likelihoods as losses.
func plainSet(set *perplexity.Set) *perplexity.Set {
	out := *set
	out.Metric = perplexity.NLL
	out.Sequences = slices.Clone(set.Sequences)
	for i := range out.Sequences {
		out.Sequences[i].Ref = nil
	}
	return &out
}

// quality returns what measures a bound of quality that the search's own scores are not of; nil where there is no need.
func (s *Source) quality(ctx context.Context, session engine.Session, set *perplexity.Set, q SearchRequest, rep Reporter) (
	func(context.Context, blockmask.Mask) (float64, error), error,
) {
	other := set
	switch {
	case q.Goal.MaxPPLRatio != 0 && set.Metric == perplexity.KLD:
		other = plainSet(set)
	case q.Goal.MaxKLD != 0 && set.Metric == perplexity.NLL:
		var err error
		if other, err = withMetric(ctx, session, set, perplexity.KLD, rep); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	eval, err := perplexity.NewEvaluator(session, other)
	if err != nil {
		return nil, err
	}
	ledger := search.NewLedger(eval, s.cost(q.Blocks), q.Journal, "quality")
	ledger.Stop = func() error { return stopRequested(ctx) }
	return func(ctx context.Context, removed blockmask.Mask) (float64, error) {
		score, _, err := ledger.ScoreOn(ctx, ledger.Sequences(), removed, nil, true)
		if err != nil || other.Metric == perplexity.KLD {
			return score, err
		}
		base, _, err := ledger.ScoreOn(ctx, ledger.Sequences(), nil, nil, true)
		return score / base, err
	}, nil
}

// memory prints a number of bytes for people.
func memory(n int64) string { return fmt.Sprintf("%.0f MiB", math.Ceil(float64(n)/(1<<20))) }
