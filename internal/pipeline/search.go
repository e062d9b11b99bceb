package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
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

	Method  Method
	Repair  Repair // its texts are what the strategy aware looks at
	Text    Text
	Journal *searchJournal // what was measured before, and is from now on; may be nil
}

// Found is what a search came to.
type Found struct {
	Result   *search.Result // as far as it got; nil if no step was begun
	Settings search.Settings
	Audit    *search.Audit
	Refined  *search.Refined
	Used     []int  // sequences that were decided on; nil is all
	ScoredOn string // the text that was scored on, where that was not the set; else ""
}

// Search finds what to remove, by the scores of set on session. An error comes with the steps that were completed, if any.
func (s *Source) Search(ctx context.Context, session engine.Session, set *perplexity.Set, q SearchRequest, rep Reporter) (Found, error) {
	began := time.Now()
	model := s.searchModel(q)
	kind, err := s.tryLayout(q, model)
	if err != nil {
		return Found{}, err
	}
	if q.Goal.Speedup == 0 { // else the times of the blocks come first
		if err := model.Check(q.Unit, q.Goal); err != nil {
			return Found{}, err
		}
	}
	if err := s.predictSpeed(ctx, model, q, kind, rep); err != nil {
		return Found{}, err
	}
	if err := model.Check(q.Unit, q.Goal); err != nil {
		return Found{}, err
	}
	if set, err = withMetric(ctx, session, set, q.Method.Metric, rep); err != nil {
		return Found{}, err
	}
	eval, err := perplexity.NewEvaluator(session, set)
	if err != nil {
		return Found{}, err
	}
	if model.Quality, err = s.quality(ctx, session, set, q, rep); err != nil {
		return Found{}, err
	}
	ledger := search.NewLedger(eval, s.cost(q.Blocks), q.Journal, "")
	release := holdInterrupt(ctx)
	defer release()
	ledger.Stop = func() error { return stopRequested(ctx) }
	steps := model.Steps(q.Unit, q.Goal)
	if steps == 0 { // of a bound of quality nobody knows: a third of the model is much
		steps = max(1, len(blockmask.Candidates(q.Unit, model.Blocks, nil))/3)
	}
	plan, err := schedule(ctx, q, session, set, s.cost(q.Blocks), eval, steps, began, rep)
	if err != nil {
		return Found{}, err
	}
	d, err := s.prepare(ctx, q, session, set, ledger, steps, plan)
	if err != nil {
		return Found{}, err
	}
	w := newWatcher(rep, ledger, d, q, steps)
	defer w.stop()
	res, err := d.Run(ctx, model, w.event)
	return Found{Result: res, Settings: d.Settings, Audit: d.Audit, Refined: d.Refined, Used: d.Use, ScoredOn: d.ScoredOn}, err
}

// cost is what running the source costs, in blocks. The head's part is that of its weights: it is the same on every machine,
// so that two runs of a search end with the same plan.
func (s *Source) cost(blocks []layout.Block) search.Cost {
	c := search.Cost{Blocks: plainBlocks(blocks)}
	all := BlockWeights(s.File, blocks, blockmask.New(c.Blocks...)).Params
	for _, name := range []string{"output.weight", "token_embd.weight"} {
		if t, ok := s.File.Tensor(name); ok && all > 0 {
			c.Head = float64(t.Elements()) * float64(len(c.Blocks)) / float64(all)
			break
		}
	}
	return c
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
	p.Repair = s.expectedRepair(q.Repair, q.Text, q.Blocks, removed)
	return layout.Request{Source: s.File, Blocks: q.Blocks, Removed: removed, Kind: q.Layout, Provenance: p}
}

// tryLayout builds the file without the first candidate, so that a layout that can never work shows before the search. It returns
// the layout that this file has.
func (s *Source) tryLayout(q SearchRequest, m *search.Model) (layout.Kind, error) {
	candidates := blockmask.Candidates(q.Unit, m.Blocks, nil)
	if len(candidates) == 0 {
		return q.Layout, nil // the search says so
	}
	res, err := layout.Build(s.layoutRequest(q, candidates[0]))
	if err != nil {
		return "", err
	}
	return res.Kind, nil
}
