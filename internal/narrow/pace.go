package narrow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/repair"
)

// effort is what a job that narrows FFNs does to find the best shape, and to fit it.
type effort struct {
	Shapes shapesTried `json:"shapes"`
	Tokens int         `json:"tokens"` // that the last fit is asked for: it takes more where kinds of text would have too few
}

// shapesTried are the kinds of shapes that are tried.
type shapesTried int

const (
	oneShape  shapesTried = iota // one width, the ends spared, without a trial
	allShapes                    // some of one width, and by measured loss
)

// How much text a fit gets.
const (
	leastTokens = 4096   // are worth a fit
	manyTokens  = 24576  // are worth trials of shapes before: these win about as much as three times the text does
	mostTokens  = 131072 // of the texts that come with the program, and of the model's own; a user's may hold more
	stepTokens  = 1024
)

// What the parts of a job take, in passes of a position through the whole model; the first trial measures the fits of the model itself.
// docs/BENCHMARKS.md says on what these were measured.
const (
	fitPasses    = 1.5
	solveSeconds = 6e-10 // of a trial, for each FFN, times the cube of its channels
	solveAgain   = 3.0   // the last fit tries more lambdas than a trial
	trials       = 4     // of shapes
	probeTrials  = 2.3   // a probe of all blocks takes as long as so many trials
	ownPasses    = 4.0   // a token that the model writes
)

// pace is how fast a job goes on this machine, and when it must be done.
type pace struct {
	began    time.Time
	position float64 // seconds of a position through the whole model
	cubes    float64 // sum over the FFNs of their channels to the third power
	trial    float64 // seconds of a trial; 0: none was made
	solved   float64 // seconds of it in which nothing ran through the model
	answers  float64 // seconds that the tasks take; 0: there are none
}

// cost is what is still to be done of an effort, in seconds: before the first trial all of it, and then the last fit with what follows.
func (n *Narrower) cost(e effort) float64 {
	p := &n.pace
	all := p.answers + p.position*float64(n.After)
	trial, solved := p.trial, p.solved
	if trial == 0 {
		solved = solveSeconds * p.cubes
		trial = solved + p.position*fitPasses*repair.TrialPositions
		all += p.position * ownPasses * float64(repair.OwnTokens(n.Repair, n.length, e.Tokens))
		if e.Shapes == allShapes {
			all += trials*(trial+p.answers) + probeTrials*trial
		}
	}
	return all + solveAgain*solved + (trial-solved)*float64(n.positions(e.Tokens))/repair.TrialPositions
}

// tokens is how many the last fit can have in so many seconds; 0: not even the least.
func (n *Narrower) tokens(shapes shapesTried, seconds float64) int {
	for tokens := n.mostTokens(); tokens > 0; tokens -= stepTokens {
		if n.cost(effort{shapes, tokens}) <= seconds {
			return tokens
		}
	}
	return 0
}

// schedule says what the job is going to do: all of it, or what --time leaves time for. It tells how long that takes.
func (n *Narrower) schedule() error {
	n.effort = effort{allShapes, n.Repair.Tokens}
	if !n.mixed {
		n.effort.Shapes = oneShape
	}
	if raw := n.journal.Note("effort"); raw != nil && json.Unmarshal(raw, &n.effort) == nil {
		n.Repair.Tokens = n.effort.Tokens
		return nil
	}
	whole := format.About(n.cost(n.effort))
	if n.Time == 0 {
		switch {
		case n.Goal.OfQuality(): // the number of trials is not known
			whole += " or longer"
		case n.cost(n.effort) > 3600:
			whole += "; --time 30m does with less text and fewer shapes"
		}
		n.sink.Notef("this takes about %s", whole)
		return nil
	}
	left := (n.Time - time.Since(n.pace.began)).Seconds()
	if !n.plan(left) {
		least := n.cost(effort{oneShape, min(leastTokens, n.mostTokens())}) + time.Since(n.pace.began).Seconds()
		return fmt.Errorf("--time %v is too short for this model: give about %s at least, or %s for the best result", n.Time, format.About(least), whole)
	}
	switch {
	case !n.mixed:
		n.sink.Notef("to be done in %v: fitted on about %d tokens", n.Time, n.positions(n.effort.Tokens))
	case n.effort.Shapes == oneShape:
		n.sink.Notef("to be done in %v: one shape, fitted on about %d tokens; with about %s several are tried", n.Time, n.positions(n.effort.Tokens), whole)
	default:
		n.sink.Notef("to be done in %v: shapes are tried, and one is fitted on about %d tokens", n.Time, n.positions(n.effort.Tokens))
	}
	n.Repair.Tokens = n.effort.Tokens
	return n.journal.SetNote("effort", n.effort)
}

// plan chooses the effort for so many seconds; false where they are too few.
func (n *Narrower) plan(seconds float64) bool {
	if n.effort.Shapes == allShapes {
		if tokens := n.tokens(allShapes, seconds); tokens >= min(manyTokens, n.mostTokens()) {
			n.effort = effort{allShapes, tokens}
			return true
		}
	}
	tokens := n.tokens(oneShape, seconds)
	n.effort = effort{oneShape, tokens}
	return tokens >= min(leastTokens, n.mostTokens())
}

// mostTokens is the most text that a fit takes with --time.
func (n *Narrower) mostTokens() int {
	if n.Repair.TokensGiven {
		return n.Repair.Tokens
	}
	return mostTokens
}

// timeLast decides how much text the last fit sees, by what the trials took.
func (n *Narrower) timeLast() error {
	if n.Time == 0 {
		return nil
	}
	var known effort
	if raw := n.journal.Note("last effort"); raw != nil && json.Unmarshal(raw, &known) == nil {
		n.Repair.Tokens = known.Tokens
		return nil
	}
	if n.pace.trial == 0 {
		return nil
	}
	left := max(0, (n.Time - time.Since(n.pace.began)).Seconds())
	n.effort.Tokens = min(n.mostTokens(), max(leastTokens, n.tokens(oneShape, left)))
	if left == 0 {
		n.sink.Notef("the time is over: the shape is fitted on the fewest tokens, about %d", n.positions(n.effort.Tokens))
	} else {
		n.sink.Notef("%s are left: the shape is fitted on about %d tokens", format.About(left), n.positions(n.effort.Tokens))
	}
	n.Repair.Tokens = n.effort.Tokens
	return n.journal.SetNote("last effort", n.effort)
}
