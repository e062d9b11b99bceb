package find

import (
	"context"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// prepare sets up the method's strategy on ledger. steps is about how many it will make, schedule how it uses its time.
func (f *finder) prepare(ctx context.Context, ledger *search.Ledger, steps int, schedule *strategy.Schedule) (*strategy.Prepared, error) {
	spec, err := strategy.Find(f.Method.Strategy)
	if err != nil {
		return nil, err
	}
	return spec.Prepare(strategy.Setup{
		Ledger: ledger, Unit: f.Unit, Goal: f.Goal, Metric: f.Method.Metric, Seed: f.Method.Seed, Confidence: f.Method.Confidence,
		Steps: steps, Schedule: schedule, Notes: f.journal,
		Influence: func(ctx context.Context) (engine.Influence, error) { return Influence(ctx, f.session, f.set) },
		Norm:      WeightNorm(ctx, f.src.Spec.Engine, f.src.File, f.session.Weights),
		Repair:    f.repairing,
	})
}
