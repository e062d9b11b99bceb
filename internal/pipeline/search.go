package pipeline

import (
	"context"
	"fmt"
	"math"

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
}

// Search finds what to remove, by the perplexity of set on session. An error comes with the steps that were completed, if
// any.
func (s *Source) Search(ctx context.Context, session Session, set *perplexity.Set, q SearchRequest, rep Reporter) (*search.Result, error) {
	model := s.searchModel(q)
	if err := s.tryLayout(q, model); err != nil {
		return nil, err
	}
	eval, err := perplexity.NewEvaluator(session, set)
	if err != nil {
		return nil, err
	}
	w := &watcher{rep: rep}
	eval.OnProgress = w.progress
	defer w.stop()
	return search.Run(ctx, search.Greedy{Scorer: eval}, model, q.Unit, q.Goal, w.event)
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

// watcher turns what the search and the evaluator tell into one line of progress.
type watcher struct {
	rep  Reporter
	bar  Progress
	base float64
	step search.StepStarted
	last string // the step before
	done float64
}

const searchUnits = 10000 // of the progress bar

func (w *watcher) event(e search.Event) {
	switch e := e.(type) {
	case search.Started:
		w.base = math.NaN()
		w.bar = w.rep.Start("search", searchUnits)
	case search.StepStarted:
		w.step = e
	case search.BaseScored:
		w.base = e.Score
		w.rep.Notef("whole model: PPL %.4f", e.Score)
	case search.StepDone:
		w.done = e.Progress
		w.last = fmt.Sprintf("%s PPL %.4f", e.Step.Removed, e.Step.Score)
		w.rep.Notef("step %d: %s removed, PPL %.4f (x%.3f), %.1f%% of the parameters gone",
			e.Step.Index, e.Step.Removed, e.Step.Score, e.Step.Score/e.Base, 100*e.Step.Ratio)
	}
}

// progress places the runs of one step between the step before and the next: how many steps there will be is not known
// beforehand, so a step is taken to be as large as the mean of those before.
func (w *watcher) progress(p perplexity.Progress) {
	if w.bar == nil {
		return
	}
	part := float64(p.Done) / float64(max(1, p.Total))
	steps := float64(max(1, w.step.Index-1))
	width := w.done / steps
	if w.step.Index <= 1 {
		width = 0.1
	}
	note := fmt.Sprintf("step %d, %d candidates", w.step.Index, len(w.step.Candidates))
	if w.last != "" {
		note += ", last " + w.last
	}
	w.bar.Set(int64(searchUnits*min(1, w.done+part*width)), note)
}

func (w *watcher) stop() {
	if w.bar != nil {
		w.bar.Stop()
	}
}
