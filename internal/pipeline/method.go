package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// Method says how a search decides.
type Method struct {
	Strategy   string            // one of Strategies; "" is the first
	Metric     perplexity.Metric // of the scores
	Confidence float64           // of races; 0 is strategy.DefaultConfidence
	Time       time.Duration     // that the search may take; 0 is as long as it takes
	Seed       uint64            // of what is drawn
}

// Strategies lists the names of the strategies that a search can follow, the default first.
func Strategies() []string { return strategy.Names() }

// Races reports whether the strategy is one of those that race, which a time limit and a confidence are for.
func (m Method) Races() bool {
	s, err := strategy.Find(m.Strategy)
	return err == nil && s.Races
}

// prepare sets up the method's strategy on ledger. steps is about how many it will make, schedule how it uses its time.
func (s *Source) prepare(ctx context.Context, q SearchRequest, session engine.Session, set *perplexity.Set, ledger *search.Ledger, steps int,
	schedule *strategy.Schedule,
) (*strategy.Prepared, error) {
	spec, err := strategy.Find(q.Method.Strategy)
	if err != nil {
		return nil, err
	}
	return spec.Prepare(strategy.Setup{
		Ledger: ledger, Unit: q.Unit, Goal: q.Goal, Metric: q.Method.Metric, Seed: q.Method.Seed, Confidence: q.Method.Confidence,
		Steps: steps, Schedule: schedule, Notes: q.Journal,
		Influence: func(ctx context.Context) (engine.Influence, error) { return Influence(ctx, session, set) },
		Norm:      WeightNorm(ctx, s.File, session.Weights),
		Repair:    func() (*strategy.Repair, error) { return s.repairing(q, session, set) },
	})
}

// searchJournal is a journal of a search.
type searchJournal = journal.Journal[search.Measurement]

// journalPath is where the measurements of the search for a plan are kept until it is done.
func journalPath(plan string) string { return plan + ".journal" }

// openJournal opens the journal beside the job's plan; nil without a plan. What an earlier run of the same search measured is
// found there.
func (s *Source) openJournal(j Job, set *perplexity.Set, rep Reporter) (*searchJournal, error) {
	if j.Plan == "" {
		return nil, nil
	}
	hash, err := s.SHA256()
	if err != nil {
		return nil, err
	}
	m := j.Method
	config, err := json.Marshal(struct {
		Strategy   string         `json:"strategy"`
		Metric     string         `json:"metric"`
		Confidence float64        `json:"confidence,omitempty"`
		Time       time.Duration  `json:"time_ns,omitempty"`
		Unit       blockmask.Unit `json:"kind"`
		Goal       search.Goal    `json:"goal"`
		Seed       uint64         `json:"seed"`
		Batch      int            `json:"batch"`
		Flash      string         `json:"flash_attn"`
		Text       any            `json:"calibration"`
	}{cmp.Or(m.Strategy, strategy.Names()[0]), m.Metric.String(), cmp.Or(m.Confidence, strategy.DefaultConfidence), m.Time, j.Unit, j.Goal, m.Seed, j.Text.Batch, j.Runtime.FlashAttn, j.Calibration.config()})
	if err != nil {
		return nil, err
	}
	found, err := journal.Open[search.Measurement](journalPath(j.Plan), journal.Header{
		ModelSHA256: hash, TokensSHA256: set.SHA256(), Config: config, Tool: j.Tool, LlamaCpp: llamabind.LlamaTag,
	}, journal.Owner{Job: "search", File: "plan"})
	if err != nil {
		return nil, err
	}
	if n := len(found.Records()); n > 0 {
		rep.Notef("resumed from %s: %d measurements are there", filepath.Base(journalPath(j.Plan)), n)
	} else if n := found.Notes(strategy.AwareNotes); n > 0 {
		rep.Notef("resumed from %s: %d steps are there", filepath.Base(journalPath(j.Plan)), n)
	}
	return found, nil
}
