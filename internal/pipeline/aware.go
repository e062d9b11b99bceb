package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
)

// AwareTokens are what the strategy aware fits and scores on.
const AwareTokens = 12288

// aware is the strategy that scores what a repair leaves of the loss, and the text that it does so on.
func (s *Source) aware(ctx context.Context, q SearchRequest, session engine.Session, set *perplexity.Set) (*fit.Aware, string, error) {
	runner, ok := session.(engine.BlockRunner)
	if !ok {
		return nil, "", errors.New("this engine cannot repair")
	}
	if q.Method.Metric != perplexity.NLL {
		return nil, "", errors.New("--strategy aware scores by perplexity; leave out --metric")
	}
	texts, err := q.Repair.texts(q.Text)
	if err != nil {
		return nil, "", err
	}
	a := &fit.Aware{
		Runner: runner, Weights: Projections(s.File, q.Blocks), Admit: fit.DefaultAdmit, Drop: fit.DefaultDrop, Cost: s.cost(q.Blocks),
		Stop: func() error { return stopRequested(ctx) },
	}
	if q.Journal != nil {
		a.Notes = q.Journal
	}
	if all := s.sizes(q.Blocks).Of(a.Cost.Blocks...).Params; all > 0 {
		width := float64(s.Model.Info().NEmbd)
		a.MapCost = 3 * width * width * float64(len(a.Cost.Blocks)) / float64(all)
	}
	nSeq, length := q.Text.shape(set.Longest())
	a.Fit, a.Held, err = fit.Batches(s.Model, texts, length, AwareTokens, nSeq, q.Text.Seed)
	tokens := 0
	for _, batch := range slices.Concat(a.Fit, a.Held) {
		tokens += len(batch) * length
	}
	return a, describeTexts(texts, tokens), err
}
