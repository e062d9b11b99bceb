package search

import (
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
)

// ETA predicts when a search ends, from the cost of what is left to do and the speed so far. It is fed by the search's events and the
// ledger's runs; time comes from the caller.
//
// The cost of a step of greedy is known beforehand. Fast's is not: it is predicted as the share of the paper's cost that the
// last steps took, and before the first step ended, as the share that its rule leads one to expect.
type ETA struct {
	cost     Cost
	tokens   int     // of the calibration set
	scored   int     // positions
	exact    bool    // every candidate runs on the whole set
	share    float64 // of the paper's cost, expected of a step
	steps    int     // to go in all, 0 = unknown
	done     int
	removed  blockmask.Mask
	unit     blockmask.Unit
	ofStep   float64 // spent in the step that runs
	busy     time.Duration
	worked   float64 // block-tokens that took busy
	progress float64 // part of the goal that is done
}

// NewETA returns the estimator of a search on l's calibration set. exact is for greedy; share is what part of the paper's cost
// a step of another strategy is expected to take, such as [Fast.Share]; steps is their number, 0 if the goal is not a number.
func NewETA(l *Ledger, unit blockmask.Unit, exact bool, share float64, steps int) *ETA {
	e := &ETA{cost: l.cost, unit: unit, exact: exact, share: share, steps: steps}
	e.tokens, e.scored = l.size(l.all)
	return e
}

// Ran tells of a run and how long it took.
func (e *ETA) Ran(r BatchRun, took time.Duration) {
	e.ofStep += r.Cost
	if !r.Replayed {
		e.busy += took
		e.worked += r.Cost
	}
}

// Step tells that a step has ended. progress is the part of the goal that is done (see [StepDone]).
func (e *ETA) Step(s Step, progress float64) {
	if paper := e.paper(e.removed); paper > 0 && !e.exact {
		// Slowly, since steps differ (audits, finalists). The first, in which everything races, says little about the others.
		if e.done > 0 {
			e.share += 0.2 * (e.ofStep/paper - e.share)
		}
	}
	e.removed = e.removed.Union(s.Removed)
	e.done, e.ofStep, e.progress = e.done+1, 0, progress
}

// paper returns the paper's cost of the step after removed.
func (e *ETA) paper(removed blockmask.Mask) float64 {
	return e.cost.paper(removed, blockmask.Candidates(e.unit, e.cost.Blocks, removed)).times(e.cost, e.tokens, e.scored)
}

// Remaining returns the time until the end; ok is false as long as nothing is known about the speed.
func (e *ETA) Remaining() (left time.Duration, ok bool) {
	if e.worked <= 0 || e.busy <= 0 {
		return 0, false
	}
	cost := max(0, e.ahead()-e.ofStep)
	return time.Duration(cost / e.worked * float64(e.busy)), true
}

// ahead returns the cost from the beginning of the step that runs to the end of the search.
func (e *ETA) ahead() float64 {
	steps := e.steps
	if steps == 0 && e.progress > 0 {
		steps = max(e.done, int(float64(e.done)/e.progress+0.5))
	}
	removed := e.removed
	total := 0.0
	for range max(1, steps-e.done) {
		cands := blockmask.Candidates(e.unit, e.cost.Blocks, removed)
		if len(cands) == 0 {
			break
		}
		if e.exact {
			total += e.cost.eval(removed, cands, true, true).times(e.cost, e.tokens, e.scored)
		} else {
			total += e.share * e.paper(removed)
		}
		removed = removed.Union(cands[len(cands)/2]) // which one does not matter much
	}
	if e.steps > 0 && e.done >= e.steps {
		return 0
	}
	return total
}
