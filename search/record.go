package search

import (
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Settings are what the search was asked for.
type Settings struct {
	Strategy string         `json:"strategy"`
	Unit     blockmask.Unit `json:"kind"`
	Goal     Goal           `json:"goal"`
	Seed     uint64         `json:"seed"`

	// Of the strategies that race.
	Confidence float64 `json:"confidence,omitempty"`
	Tolerance  float64 `json:"tolerance,omitempty"`
	Finalists  int     `json:"finalists,omitempty"`
	Admit      int     `json:"admit,omitempty"`
	AuditEvery int     `json:"audit_every,omitempty"`

	// Sequences is how many of the calibration set the search decided on, where that was not all of it.
	Sequences int `json:"sequences,omitempty"`
}

// Audit is what audits found.
type Audit struct {
	Audits    int     `json:"audits"`
	Missed    int     `json:"missed"` // the best candidate would not have started
	Lost      int     `json:"lost"`   // it would have dropped out
	WorstLoss float64 `json:"worst_loss"`
	Undecided int     `json:"undecided"` // steps in which the limit of finalists, not the confidence, ended the race
	Steps     int     `json:"steps"`

	// Regret is the sum of what the steps' choices are expected to have cost since not all candidates ran on all of the text (package
	// race), in units of the loss: nats. Later steps make good most of what earlier ones got wrong, so it is too high.
	Regret float64 `json:"regret,omitempty"`
}

// MostRegret is the regret above which a search saw too little text. Searches of the small model for 8 blocks on 64 sequences, whose regret
// is 0.02 to 0.03, are on average 0.1 to 0.9% behind greedy ones on the same text in perplexity, and at worst 2 to 4% (docs/BENCHMARKS.md).
const MostRegret = 0.04

// String returns the audit in one line for a report.
func (a Audit) String() string {
	return fmt.Sprintf("%d steps, %d of them undecided at the stated confidence; %d audits: "+
		"best candidate not admitted %d times, dropped %d times, worst loss %.4f nats",
		a.Steps, a.Undecided, a.Audits, a.Missed, a.Lost, a.WorstLoss)
}

// Refined says what refinement did. Scores are lower for better models.
type Refined struct {
	Start           blockmask.Mask `json:"start"`
	Mask            blockmask.Mask `json:"mask"`
	StartScore      float64        `json:"start_score"` // on the search half
	Score           float64        `json:"score"`
	StartValidation float64        `json:"start_validation"` // on the validation half
	Validation      float64        `json:"validation"`
	Generations     int            `json:"generations"`
	Children        int            `json:"children"`
	Accepted        int            `json:"accepted"`
	Rejected        int            `json:"rejected"` // better on the search half only
	Cost            float64        `json:"cost"`     // in block-tokens
}
