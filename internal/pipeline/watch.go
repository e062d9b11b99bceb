package pipeline

import (
	"fmt"
	"math"
	"time"

	"github.com/ggufprune/ggufprune/search"
)

// watcher turns what the search and the ledger tell into one line of progress.
type watcher struct {
	rep  Reporter
	eta  *search.ETA
	bar  Progress
	base float64
	step search.StepStarted
	last string // the step before
	done float64

	begin, ran time.Time // of the search, and when the last run ended
	tokens     int       // run through the model
}

const searchUnits = 10000 // of the progress bar

func newWatcher(rep Reporter, l *search.Ledger, s search.Strategy, q SearchRequest) *watcher {
	cost := search.GreedyCost(l, q.Unit)
	if f, ok := s.(*search.Fast); ok {
		cost = f.StepCost(q.Unit)
	}
	now := time.Now()
	w := &watcher{rep: rep, eta: search.NewETA(l, q.Unit, cost, q.Goal.Blocks), begin: now, ran: now}
	l.OnRun = w.run
	return w
}

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
		w.eta.Step(e.Step, e.Progress)
		w.last = fmt.Sprintf("%s PPL %.4f", e.Step.Removed, e.Step.Score)
		w.rep.Notef("step %d: %s removed, PPL %.4f (x%.3f), %.1f%% of the parameters gone",
			e.Step.Index, e.Step.Removed, e.Step.Score, e.Step.Score/e.Base, 100*e.Step.Ratio)
	}
}

// run places what was done among what is expected in all: the part is the time so far over the time that it will have been.
func (w *watcher) run(r search.BatchRun) {
	now := time.Now()
	w.eta.Ran(r, now.Sub(w.ran))
	w.ran = now
	if !r.Replayed {
		w.tokens += r.Tokens
	}
	if w.bar == nil {
		return
	}
	spent := now.Sub(w.begin)
	part, left := w.done, ""
	if d, ok := w.eta.Remaining(); ok {
		part = max(part, float64(spent)/float64(spent+d))
		left = ", " + d.Round(time.Second).String() + " left"
	}
	note := fmt.Sprintf("step %d, %d candidates, %.0f tokens/s%s", w.step.Index, len(w.step.Candidates), float64(w.tokens)/max(spent.Seconds(), 1e-3), left)
	if w.last != "" {
		note += ", last " + w.last
	}
	w.bar.Set(int64(searchUnits*min(1, part)), note)
}

func (w *watcher) stop() {
	if w.bar != nil {
		w.bar.Stop()
	}
}
