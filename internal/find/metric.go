package find

import (
	"context"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/interrupt"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// withMetric returns the set with the metric's losses. For a divergence the whole model runs once, and what it predicts is kept.
func (f *finder) withMetric(ctx context.Context, metric perplexity.Metric) (*perplexity.Set, error) {
	if metric != perplexity.KLD {
		return f.set, nil
	}
	f.sink.Notef("KL divergence: the %d most probable tokens of %d positions are kept, %s of memory",
		perplexity.TopTokens, f.set.Scored(), memory(perplexity.ReferenceBytes(f.set, perplexity.TopTokens)))
	bar := f.sink.Start("what the whole model predicts", int64(len(f.set.Sequences)))
	defer bar.Stop()
	return perplexity.WithReferences(ctx, f.session, f.set, perplexity.TopTokens, func(done int) { bar.Set(int64(done), "") })
}

// quality returns what measures a bound of quality that the search's own scores are not of; nil where they are, or where none is asked for.
func (f *finder) quality(ctx context.Context) (func(context.Context, blockmask.Mask) (float64, error), error) {
	var other *perplexity.Set
	var err error
	switch {
	case f.Goal.MaxPPLRatio != 0 && f.set.Metric == perplexity.KLD:
		other = calibrate.PlainSet(f.set)
	case f.Goal.MaxKLD != 0 && f.set.Metric == perplexity.NLL:
		if other, err = f.withMetric(ctx, perplexity.KLD); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	eval, err := perplexity.NewEvaluator(f.session, other)
	if err != nil {
		return nil, err
	}
	ledger := search.NewLedger(eval, f.cost(), f.journal, "quality")
	ledger.Stop = func() error { return interrupt.Requested(ctx) }
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
