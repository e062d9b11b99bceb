package find

import (
	"context"
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/interrupt"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/perplexity"
)

// AwareTokens are what the strategy aware fits and scores on.
const AwareTokens = 12288

// aware is the strategy that scores what a repair leaves of the loss, and the text that it does so on.
func (f *finder) aware(ctx context.Context) (*fit.Aware, string, error) {
	runner, ok := f.session.(engine.BlockRunner)
	if !ok {
		return nil, "", errors.New("this engine cannot repair")
	}
	if f.Method.Metric != perplexity.NLL {
		return nil, "", errors.New("--strategy aware scores by perplexity; leave out --metric")
	}
	texts, err := f.Repair.Texts(f.Text)
	if err != nil {
		return nil, "", err
	}
	a := &fit.Aware{
		Runner: runner, Weights: repair.NewProjections(f.src.Spec.Engine, f.src.File, f.blocks), Admit: fit.DefaultAdmit, Drop: fit.DefaultDrop, Cost: f.cost(),
		Stop: func() error { return interrupt.Requested(ctx) },
	}
	if f.journal != nil {
		a.Notes = f.journal
	}
	if all := f.src.Sizes(f.blocks).Of(a.Cost.Blocks...).Params; all > 0 {
		width := float64(f.src.Model.Info().NEmbd)
		a.MapCost = 3 * width * width * float64(len(a.Cost.Blocks)) / float64(all)
	}
	nSeq, length := f.Text.Shape(f.set.Longest())
	a.Fit, a.Held, err = fit.Batches(f.src.Model, texts, length, AwareTokens, nSeq, f.Text.Seed)
	tokens := 0
	for _, batch := range slices.Concat(a.Fit, a.Held) {
		tokens += len(batch) * length
	}
	return a, repair.DescribeTexts(texts, tokens), err
}
