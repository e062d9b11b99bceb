package pipeline

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// SearchRequest asks what to remove.
type SearchRequest struct {
	Blocks     []layout.Block
	Unit       blockmask.Unit
	Goal       search.Goal
	Layout     layout.Kind       // sizes are those of files with this layout
	Provenance layout.Provenance // what a file would say of its origin: it counts in its size

	Strategy string          // one of Strategies; "" is the first
	Seed     uint64          // of the strategies that draw
	Journal  *search.Journal // what was measured before, and is from now on; may be nil
}

// Search finds what to remove, by the perplexity of set on session. An error comes with the steps that were completed, if
// any. The strategy is returned for what it says of itself.
func (s *Source) Search(ctx context.Context, session Session, set *perplexity.Set, q SearchRequest, rep Reporter) (*search.Result, search.Strategy, error) {
	model := s.searchModel(q)
	if err := s.tryLayout(q, model); err != nil {
		return nil, nil, err
	}
	eval, err := perplexity.NewEvaluator(session, set)
	if err != nil {
		return nil, nil, err
	}
	ledger := search.NewLedger(eval, s.cost(q.Blocks), q.Journal, "")
	strategy, err := strategy(q.Strategy, ledger, q.Seed)
	if err != nil {
		return nil, nil, err
	}
	w := newWatcher(rep, ledger, strategy, q)
	defer w.stop()
	res, err := search.Run(ctx, strategy, model, q.Unit, q.Goal, w.event)
	return res, strategy, err
}

// searchModel describes the source as package search wants it.
func (s *Source) searchModel(q SearchRequest) *search.Model {
	m := &search.Model{Params: map[blockmask.Block]uint64{}, Total: s.File.Params()}
	for _, b := range q.Blocks {
		m.Blocks = append(m.Blocks, b.Block)
		m.Params[b.Block] = BlockWeights(s.File, q.Blocks, blockmask.New(b.Block)).Params
	}
	m.Size = func(removed blockmask.Mask) (int64, error) {
		return layout.Size(s.layoutRequest(q, removed))
	}
	return m
}

// layoutRequest asks for the file without removed, of the size that it will have: with a provenance of the final length.
func (s *Source) layoutRequest(q SearchRequest, removed blockmask.Mask) layout.Request {
	p := q.Provenance
	p.SourceSHA256 = fmt.Sprintf("%064d", 0)
	p.Removed = removed
	p.Scores = make([]float64, removed.Len())
	return layout.Request{Source: s.File, Blocks: q.Blocks, Removed: removed, Kind: q.Layout, Provenance: p}
}

// tryLayout builds the file without the first candidate, so that a layout that can never work shows before the search.
func (s *Source) tryLayout(q SearchRequest, m *search.Model) error {
	candidates := blockmask.Candidates(q.Unit, m.Blocks, nil)
	if len(candidates) == 0 {
		return nil // the search says so
	}
	_, err := layout.Build(s.layoutRequest(q, candidates[0]))
	return err
}
