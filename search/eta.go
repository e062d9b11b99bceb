package search

import (
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
)

// StepCost predicts what a step costs, in block-tokens: the step-th, from 1, after removed.
type StepCost func(step int, removed blockmask.Mask) float64

// StepsLeft estimates how many steps a search still takes that has removed so much (see [Model.Steps]).
type StepsLeft func(removed blockmask.Mask) int

// ETA predicts when a search ends, from the predicted cost of the steps to come and the speed so far. It is fed by the search's
// events and the ledger's runs; time comes from the caller. Where steps turn out to cost more or less than predicted, so will those
// to come, a little more with each.
type ETA struct {
	cost     StepCost
	unit     blockmask.Unit
	blocks   []blockmask.Block
	steps    StepsLeft
	done     int     // steps
	progress float64 // part of the goal that is done
	removed  blockmask.Mask
	ofStep   float64 // spent in the step that runs
	scale    float64 // of real to predicted costs
	worked   float64 // block-tokens that took busy
	busy     time.Duration
}

// NewETA returns the estimator of a search on l, whose steps cost what cost predicts.
func NewETA(l *Ledger, unit blockmask.Unit, cost StepCost, steps StepsLeft) *ETA {
	return &ETA{cost: cost, unit: unit, blocks: l.cost.Blocks, steps: steps, scale: 1}
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
	if predicted := e.cost(e.done+1, e.removed); predicted > 0 && e.ofStep > 0 {
		e.scale += 0.2 * (e.ofStep/predicted - e.scale)
	}
	e.removed = e.removed.Union(s.Removed)
	e.done, e.ofStep, e.progress = e.done+1, 0, progress
}

// left is how many steps are still to come, with the one that runs.
func (e *ETA) left() int {
	if e.progress >= 1 {
		return 0
	}
	return max(1, e.steps(e.removed))
}

// Steps is about how many steps there are in all; 0 where there were as many as estimated, and the search goes on.
func (e *ETA) Steps() int {
	if e.progress < 1 && e.steps(e.removed) < 1 {
		return 0
	}
	return e.done + e.left()
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
	removed, total := e.removed, 0.0
	last := e.done + e.left()
	for step := e.done + 1; step <= last; step++ {
		cands := blockmask.Candidates(e.unit, e.blocks, removed)
		if len(cands) == 0 {
			break
		}
		total += e.scale * e.cost(step, removed)
		removed = removed.Union(cands[len(cands)/2]) // which one does not matter much
	}
	return total
}
