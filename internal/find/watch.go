package find

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// StepEvent is told after each step of a search. Its numbers describe the model after it.
type StepEvent struct {
	Event   string   `json:"event"` // "step"
	Index   int      `json:"index"`
	Block   string   `json:"block"`
	Metric  string   `json:"metric"`
	Score   float64  `json:"score"`
	Ratio   float64  `json:"params_removed_ratio"`
	Bytes   int64    `json:"size_bytes,omitempty"`
	Speedup float64  `json:"speedup,omitempty"`
	Elapsed float64  `json:"elapsed_s"`
	Left    *float64 `json:"left_s,omitempty"`
}

// RefineEvent is told after each generation of a refinement.
type RefineEvent struct {
	Event       string        `json:"event"` // "refine"
	Generation  int           `json:"generation"`
	Accepted    int           `json:"accepted"`
	Score       jsonnum.Float `json:"score"`      // on the half that it searches on
	Validation  jsonnum.Float `json:"validation"` // on the other half
	StartScore  jsonnum.Float `json:"start_score"`
	StartOther  jsonnum.Float `json:"start_validation"`
	MaskRemoved string        `json:"mask"`
}

// watcher turns what the search and the ledger tell into one line of progress, events and the status.
type watcher struct {
	sink   progress.Sink
	eta    *search.ETA
	metric perplexity.Metric
	limit  time.Duration // that the user gave; 0: none
	races  bool          // with a limit, a part of the text would do
	told   bool          // how long it takes
	budget float64
	quiet  func() // ends the status

	phase      string // what Progress is labelled with
	bar        progress.Bar
	base       float64
	step       search.StepStarted
	last       string // the step before
	done       float64
	refined    search.Refined
	began, ran time.Time // the search, and when the last run ended
	tokens     int       // run through the model
	worked     float64   // block-tokens run

	mu   sync.Mutex
	line string // for the status, which is asked for on another goroutine
}

const searchUnits = 10000 // of the progress bar

// The phases of a search.
const (
	phaseSearch = "search"
	phaseRefine = "refine"
	phaseOrder  = "order what is removed"
)

func newWatcher(sink progress.Sink, l *search.Ledger, d *strategy.Prepared, q Options, steps search.StepsLeft) *watcher {
	now := time.Now()
	w := &watcher{sink: sink, metric: q.Method.Metric, phase: phaseSearch, began: now, ran: now, line: "search: not begun"}
	w.budget, w.limit, w.races = d.MaxRefine, q.Method.Time, q.Method.Spec().Races
	w.eta = search.NewETA(l, q.Unit, d.StepCost, steps)
	d.OnRun(w.run)
	w.quiet = sink.OnStatus(w.status)
	return w
}

func (w *watcher) event(e search.Event) {
	switch e := e.(type) {
	case search.Started:
		if w.phase == phaseRefine {
			w.begin(phaseOrder)
			return
		}
		w.base = math.NaN()
		w.begin(phaseSearch)
	case search.StepStarted:
		w.step = e
	case search.BaseScored:
		if w.phase == phaseSearch {
			w.base = e.Score
			if w.metric == perplexity.NLL {
				w.sink.Notef("whole model: PPL %.4f", e.Score)
			}
		}
	case search.StepDone:
		w.stepDone(e)
	case search.Refining:
		w.refining(e.Refined)
	}
}

func (w *watcher) begin(phase string) {
	w.stopBar()
	w.phase, w.done = phase, 0
	w.bar = w.sink.Start(phase, searchUnits)
}

func (w *watcher) stepDone(e search.StepDone) {
	w.done = e.Progress
	if w.phase == phaseOrder {
		return
	}
	w.eta.Step(e.Step, e.Progress)
	w.last = fmt.Sprintf("%s %s", e.Step.Removed, w.score(e.Step.Score))
	text := fmt.Sprintf("step %d: %s removed, %s", e.Step.Index, e.Step.Removed, w.score(e.Step.Score))
	if w.metric == perplexity.NLL {
		text += fmt.Sprintf(" (x%.3f)", e.Step.Score/w.base)
	}
	text += fmt.Sprintf(", %.1f%% of the parameters gone", 100*e.Step.Ratio)
	if e.Step.Speedup > 0 {
		text += fmt.Sprintf(", about %.2f times as fast", e.Step.Speedup)
	}
	w.sink.Notef("%s", text)
	event := StepEvent{
		Event: "step", Index: e.Step.Index, Block: e.Step.Removed.String(), Metric: w.metric.String(), Score: e.Step.Score,
		Ratio: e.Step.Ratio, Bytes: e.Step.Size, Speedup: e.Step.Speedup, Elapsed: time.Since(w.began).Seconds(),
	}
	if left, ok := w.remaining(); ok {
		s := left.Seconds()
		event.Left = &s
	}
	w.sink.Event(event)
}

func (w *watcher) refining(r search.Refined) {
	if w.phase != phaseRefine {
		w.begin(phaseRefine)
	}
	w.refined = r
	if r.Generations == 0 {
		return
	}
	w.sink.Event(RefineEvent{
		Event: "refine", Generation: r.Generations, Accepted: r.Accepted, Score: jsonnum.Float(r.Score), Validation: jsonnum.Float(r.Validation),
		StartScore: jsonnum.Float(r.StartScore), StartOther: jsonnum.Float(r.StartValidation), MaskRemoved: r.Mask.String(),
	})
}

// score prints a score by its metric.
func (w *watcher) score(x float64) string {
	if w.metric == perplexity.KLD {
		return fmt.Sprintf("KLD %.4f", x)
	}
	return fmt.Sprintf("PPL %.4f", x)
}

// remaining is the time that the phase takes from now on.
func (w *watcher) remaining() (time.Duration, bool) {
	spent := time.Since(w.began).Seconds()
	switch w.phase {
	case phaseSearch:
		left, ok := w.eta.Remaining()
		if ok && w.budget > 0 && w.worked > 0 {
			left += time.Duration(w.budget / w.worked * spent * float64(time.Second))
		}
		return left, ok
	case phaseRefine:
		if w.worked > 0 {
			return time.Duration(max(0, w.budget-w.refined.Cost) / w.worked * spent * float64(time.Second)), true
		}
	}
	return 0, false
}

// run places what was done among what is expected in all: the part is the time so far over the time that it will have been.
func (w *watcher) run(r search.BatchRun) {
	now := time.Now()
	w.eta.Ran(r, now.Sub(w.ran))
	w.ran = now
	if !r.Replayed {
		w.tokens += r.Tokens
		w.worked += r.Cost
	}
	if w.bar == nil {
		return
	}
	part := w.done
	left, known := w.remaining()
	if known {
		spent := now.Sub(w.began)
		part = max(part, float64(spent)/float64(spent+left))
		w.bar.Left(left)
	}
	note := w.note(r)
	if known {
		w.tell(left)
	}
	w.mu.Lock()
	w.line = w.phase + ": " + note
	if known {
		w.line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	w.mu.Unlock()
	w.bar.Set(min(searchUnits-1, int64(searchUnits*part)), note) // the bar ends when the phase does
}

// paceTime is how long a search runs before its speed is known well enough.
const paceTime = 5 * time.Second

// tell says at the beginning of a search without a limit how long it takes, once some batches have shown how fast the machine is.
func (w *watcher) tell(left time.Duration) {
	if w.told || w.limit > 0 || w.phase != phaseSearch || time.Since(w.began) < paceTime {
		return
	}
	w.told = true
	if left < time.Minute {
		return
	}
	text := "the search takes about " + format.About(left.Seconds())
	if w.races && left > time.Hour {
		text += "; --time searches on less text"
	}
	w.sink.Notef("%s", text)
}

// note says what is going on.
func (w *watcher) note(r search.BatchRun) string {
	var parts []string
	switch w.phase {
	case phaseRefine:
		parts = append(parts, fmt.Sprintf("generation %d, %d exchanges accepted", w.refined.Generations+1, w.refined.Accepted))
	default:
		step := fmt.Sprintf("step %d", w.step.Index)
		if n := w.eta.Steps(); w.phase == phaseSearch && n > 0 {
			step += fmt.Sprintf(" of about %d", n)
		}
		parts = append(parts, step)
		if len(r.Candidate) > 0 {
			parts = append(parts, fmt.Sprintf("%s of %d", r.Candidate, len(w.step.Candidates)))
		}
	}
	if spent := time.Since(w.began).Seconds(); w.tokens > 0 && spent > 0 {
		parts = append(parts, fmt.Sprintf("%.0f tokens/s", float64(w.tokens)/spent))
	}
	if w.last != "" && w.phase == phaseSearch {
		parts = append(parts, "last "+w.last)
	}
	return strings.Join(parts, ", ")
}

// status is what the user is told who asks.
func (w *watcher) status() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.line
}

func (w *watcher) stopBar() {
	if w.bar != nil {
		w.bar.Stop()
		w.bar = nil
	}
}

func (w *watcher) stop() {
	w.stopBar()
	w.quiet()
}
