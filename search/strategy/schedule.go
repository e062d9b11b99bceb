package strategy

import (
	"fmt"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/race"
)

// Schedule is how a search uses the time that it was given.
type Schedule struct {
	Sequences int     `json:"sequences"` // of calibration text
	Admit     int     `json:"admit"`     // candidates that race
	Finalists int     `json:"finalists"`
	Refine    float64 `json:"refine"`    // block-tokens for refinement; 0 is none
	Predicted float64 `json:"predicted"` // block-tokens in all
}

// Limit is what a search may take. It chooses a schedule for fast.
type Limit struct {
	Cost  search.Cost
	Unit  blockmask.Unit
	Steps int

	Available      int // sequences that the calibration text has
	Tokens, Scored int // of one sequence, on average

	Speed  float64       // measured: block-tokens a second
	Time   time.Duration // from now to the end of the search
	Refine bool          // spend what is left on refinement
}

const (
	leastSequences = 8    // fewer say nothing about a text
	reserve        = 0.85 // of the time is planned for: predictions of racing are no promises
	mostSequences  = 256  // more brought nothing in the paper
)

// Schedule returns the schedule with the most sequences that the time allows. It first gives up sequences, then candidates and
// finalists. If even the least does not fit, the error says how long that takes.
func (f Limit) Schedule() (Schedule, error) {
	budget := f.Speed * f.Time.Seconds() * reserve
	for _, s := range []Schedule{{Admit: 0, Finalists: DefaultFinalists}, {Admit: 5, Finalists: 1}, {Admit: 3, Finalists: 1}} {
		for n := min(f.Available, mostSequences); n >= min(leastSequences, f.Available); n = smaller(n) {
			s.Sequences = n
			s.Predicted = f.predict(s)
			if s.Predicted > budget {
				continue
			}
			if f.Refine {
				s.Refine = budget - s.Predicted
				s.Predicted = budget
			}
			return s, nil
		}
	}
	least := f.predict(Schedule{Sequences: min(leastSequences, f.Available), Admit: 3, Finalists: 1})
	need := time.Duration(least / f.Speed / reserve * float64(time.Second)).Round(time.Second)
	return Schedule{}, fmt.Errorf("too short: %d steps take at least %v on this machine; give more time or remove less", f.Steps, need)
}

func smaller(n int) int { return min(n-1, n*7/8) }

// predict returns the expected cost of fast with the schedule.
func (f Limit) predict(s Schedule) float64 {
	total := 0.0
	var removed blockmask.Mask
	for step := range f.Steps {
		cands := blockmask.Candidates(f.Unit, f.Cost.Blocks, removed)
		if len(cands) == 0 {
			break
		}
		total += predictStep(f.Cost, f.Unit, s, step+1, DefaultAuditEvery, removed, f.Tokens, f.Scored)
		removed = removed.Union(cands[len(cands)/2])
	}
	whole := f.Cost.Eval(removed, nil, true, true).Times(f.Cost, f.Tokens, f.Scored)
	return total + whole*float64(s.Sequences) // the last mask
}

// predictStep returns the expected cost of fast's step-th step, from 1.
func predictStep(c search.Cost, unit blockmask.Unit, s Schedule, step, auditEvery int, removed blockmask.Mask, tokens, scored int) float64 {
	cands := blockmask.Candidates(unit, c.Blocks, removed)
	start := cands
	if audit := auditEvery > 0 && step%auditEvery == 0; step > 1 && !audit {
		start = middle(cands, admitted(s.Admit, len(cands)))
	}
	rule := race.Rule{Finalists: s.Finalists, Most: second(admitted(s.Admit, len(cands)))}
	total := predictRace(c, rule, s.Sequences, removed, start, tokens, scored)
	if step == 1 { // the whole model
		total += c.Eval(nil, nil, true, true).Times(c, tokens, scored) * float64(s.Sequences)
	}
	return total
}

// admitted returns how many of n candidates start.
func admitted(admit, n int) int {
	if admit == 0 {
		admit = max(DefaultAdmit, (n+3)/4)
	}
	return min(admit, n)
}

// second returns how many of those that started see a second look.
func second(started int) int { return (3*started + 4) / 5 }

// goOn are the parts of the candidates that a rule with finalists lets run on after a quarter, three eighths and five eighths of the
// sequences which do so, since a race with one left has ended. Simulated, on recorded losses of a real model.
var goOn = []float64{0.45, 0.35, 0.15}

// predictRace returns the expected cost of a race whose candidates are cut to the limits of the rule.
func predictRace(c search.Cost, rule race.Rule, sequences int, removed blockmask.Mask, start []blockmask.Mask, tokens, scored int) float64 {
	total, seen, late := 0.0, 0, 0
	looks := rule.Looks(sequences)
	arms := start
	for i, s := range looks {
		if seen > 0 && len(arms) == 1 {
			break
		}
		part := 1.0
		if i > 0 && i == len(looks)-1 {
			part = goOn[2]
		} else if rule.Late(seen, sequences) {
			part = goOn[min(late, 1)]
			late++
		}
		total += part * c.Eval(removed, arms, false, true).Times(c, tokens, scored) * float64(s-seen)
		seen = s
		if most := rule.Limit(i, s, sequences); most > 0 {
			arms = middle(arms, min(len(arms), most))
		}
	}
	return total
}
