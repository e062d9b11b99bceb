package find

import (
	"context"
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
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

// AwareTokens are what the strategy aware fits and scores on.
const AwareTokens = 12288

// repairing is what a strategy needs that counts on a repair.
func (f *finder) repairing() (*strategy.Repair, error) {
	runner, ok := f.session.(engine.BlockRunner)
	if !ok {
		return nil, errors.New("this engine cannot repair")
	}
	texts, err := f.Repair.Texts(f.Text)
	if err != nil {
		return nil, err
	}
	r := &strategy.Repair{
		Runner: runner, Weights: repair.NewProjections(f.src.Spec.Engine, f.src.File, f.blocks), Width: f.src.Model.Info().NEmbd,
		Params: f.src.Sizes(f.blocks).Of(source.PlainBlocks(f.blocks)...).Params,
	}
	nSeq, length := f.Text.Shape(f.set.Longest())
	r.Fit, r.Held, err = fit.Batches(f.src.Model, texts, length, AwareTokens, nSeq, f.Text.Seed)
	tokens := 0
	for _, batch := range slices.Concat(r.Fit, r.Held) {
		tokens += len(batch) * length
	}
	r.Text = repair.DescribeTexts(texts, tokens)
	return r, err
}
