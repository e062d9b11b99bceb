package search

import "github.com/ggufprune/ggufprune/blockmask"

// Event is something that happened in a search: one of the types below. Events come in the order in which things happen, on
// the goroutine that called [Run].
type Event interface{ isEvent() }

// Started comes first, when the goal has turned out to make sense.
type Started struct {
	Strategy string
	Unit     blockmask.Unit
	Goal     Goal
	Blocks   int // of the whole model
}

// StepStarted comes before a step's evaluations.
type StepStarted struct {
	Index      int // from 1
	Removed    blockmask.Mask
	Candidates []blockmask.Mask
}

// BaseScored tells the score of the whole model, once it is known.
type BaseScored struct{ Score float64 }

// CandidateScored tells the score of what is removed so far together with one candidate. Engines evaluate all candidates
// batch by batch, so a step's scores come together at its end; for progress within see perplexity.Progress.
type CandidateScored struct {
	Index     int // of the step
	Candidate blockmask.Mask
	Score     float64
}

// StepDone tells what a step removed.
type StepDone struct {
	Step     Step
	Base     float64 // score of the whole model
	Progress float64 // part of the way to the goal that is done: 0 to 1
}

// Refining tells how far a refinement has come: nothing yet in its first.
type Refining struct{ Refined Refined }

// Finished comes last when the goal was reached.
type Finished struct{ Steps int }

func (Started) isEvent()         {}
func (StepStarted) isEvent()     {}
func (BaseScored) isEvent()      {}
func (CandidateScored) isEvent() {}
func (StepDone) isEvent()        {}
func (Refining) isEvent()        {}
func (Finished) isEvent()        {}
