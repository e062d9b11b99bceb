package narrow

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/ggufprune/ggufprune/internal/repair"
)

// effort is what a job that narrows FFNs does to find the best shape, and to fit it.
type effort struct {
	Shapes shapesTried `json:"shapes"`
	Tokens int         `json:"tokens"` // of the last fit
}

// shapesTried are the kinds of shapes that are tried.
type shapesTried int

const (
	oneShape  shapesTried = iota // one width, the ends spared, without a trial
	allShapes                    // some of one width, and by measured loss
)

// What an effort needs of tokens to be worth its trials, best first, and how many fits one makes before the last. Trials win about as much as
// three times the text does.
var efforts = []struct {
	shapes shapesTried
	least  int
	trials int
}{{allShapes, 24576, 5}, {oneShape, leastTokens, 0}}

const (
	leastTokens = 4096   // of a fit that is worth making
	mostTokens  = 131072 // of the texts that come with the program, and of the model's own; a user's may hold more
	stepTokens  = 1024
)

// What the parts of a job take, in passes of a position through the whole model; the first trial measures the fits of the model itself.
// docs/BENCHMARKS.md says on what these were measured.
const (
	fitPasses    = 1.9
	solveSeconds = 6e-10 // of a trial, for each FFN, times the cube of its channels
	solveAgain   = 3.0   // the last fit tries more lambdas than a trial
	probeTrials  = 2.3   // a probe of all blocks takes as long as so many trials
	ownPasses    = 4.0   // a token that the model writes
	checkedAfter = 16000 // positions of all that comes behind the fit, but for a comparison
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

// cost is what is left of an effort to be done, in seconds.
func (p *pace) cost(e effort, trials int, after int) float64 {
	trial, solved := p.trial, p.solved
	if trial == 0 {
		solved = solveSeconds * p.cubes
		trial = solved + p.position*fitPasses*repair.TrialPositions
	}
	last := solveAgain*solved + (trial-solved)*float64(e.Tokens)/repair.TrialPositions
	all := float64(trials)*(trial+p.answers) + p.answers + last + p.position*float64(checkedAfter+after)
	if e.Shapes == allShapes && p.trial == 0 {
		all += probeTrials * trial
	}
	return all
}

// tokens is how many an effort's last fit can have in so many seconds.
func (p *pace) tokens(e effort, trials, after int, seconds float64) int {
	e.Tokens = 0
	none := p.cost(e, trials, after)
	e.Tokens = stepTokens
	each := p.cost(e, trials, after) - none
	return int(math.Max(0, (seconds-none)/each)) * stepTokens
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
	own := float64(repair.OwnTokens(n.request(n.uniform))) * ownPasses * n.pace.position
	whole := n.pace.cost(n.effort, n.trials(), n.After) + own
	if n.Time == 0 {
		least := ""
		if n.Goal.OfQuality() { // the number of trials is not known
			least = " or longer"
		}
		n.sink.Notef("this takes about %s%s%s", about(whole), least, map[bool]string{true: "; --time 30m does with less text and fewer shapes"}[whole > 3600])
		return nil
	}
	left := (n.Time - time.Since(n.pace.began)).Seconds()
	done := false
	for _, e := range efforts {
		if e.shapes > n.effort.Shapes {
			continue
		}
		tokens := min(n.pace.tokens(effort{Shapes: e.shapes}, e.trials, n.After, left-own), n.mostTokens())
		if tokens >= min(e.least, n.mostTokens()) {
			n.effort, done = effort{e.shapes, tokens}, true
			break
		}
	}
	if !done {
		return fmt.Errorf("--time %v is too short for this model: give about %s at least, or %s for the best result", n.Time,
			about(n.pace.cost(effort{oneShape, leastTokens}, 0, n.After)+own), about(whole))
	}
	switch {
	case !n.mixed:
		n.sink.Notef("to be done in %v: fitted on about %d tokens", n.Time, n.effort.Tokens)
	case n.effort.Shapes == oneShape:
		n.sink.Notef("to be done in %v: one shape, fitted on about %d tokens; with about %s several are tried", n.Time, n.effort.Tokens, about(whole))
	default:
		n.sink.Notef("to be done in %v: shapes are tried, and one is fitted on about %d tokens", n.Time, n.effort.Tokens)
	}
	n.Repair.Tokens = n.effort.Tokens
	return n.journal.SetNote("effort", n.effort)
}

// trials is how many shapes are tried.
func (n *Narrower) trials() int {
	for _, e := range efforts {
		if e.shapes == n.effort.Shapes {
			return e.trials
		}
	}
	return 0
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
	n.effort.Tokens = min(n.mostTokens(), max(leastTokens, n.pace.tokens(effort{}, 0, n.After, left)))
	n.sink.Notef("%s are left: the shape is fitted on about %d tokens", about(left), n.effort.Tokens)
	n.Repair.Tokens = n.effort.Tokens
	return n.journal.SetNote("last effort", n.effort)
}

// about is a time for people.
func about(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}
