package pipeline

import (
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// AwareTokens are what the strategy aware fits and scores on.
const AwareTokens = 12288

// repairing is what a strategy needs that counts on a repair.
func (s *Source) repairing(q SearchRequest, session engine.Session, set *perplexity.Set) (*strategy.Repair, error) {
	runner, ok := session.(engine.BlockRunner)
	if !ok {
		return nil, errors.New("this engine cannot repair")
	}
	texts, err := q.Repair.texts(q.Text)
	if err != nil {
		return nil, err
	}
	r := &strategy.Repair{
		Runner: runner, Weights: Projections(s.File, q.Blocks), Width: s.Model.Info().NEmbd,
		Params: BlockWeights(s.File, q.Blocks, blockmask.New(plainBlocks(q.Blocks)...)).Params,
	}
	nSeq, length := q.Text.shape(set.Longest())
	r.Fit, r.Held, err = fit.Batches(s.Model, texts, length, AwareTokens, nSeq, q.Text.Seed)
	tokens := 0
	for _, batch := range slices.Concat(r.Fit, r.Held) {
		tokens += len(batch) * length
	}
	r.Text = describeTexts(texts, tokens)
	return r, err
}
