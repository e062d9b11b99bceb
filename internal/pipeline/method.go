package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// Method says how a search decides.
type Method struct {
	Strategy   string            // one of Strategies; "" is the first
	Metric     perplexity.Metric // of the scores
	Confidence float64           // of races; 0 is search.DefaultConfidence
	Time       time.Duration     // that the search may take; 0 is as long as it takes
	Seed       uint64            // of what is drawn
}

// Strategies lists the names of the strategies that a search can follow, the default first.
func Strategies() []string {
	return []string{"fast", "greedy", "refine", "aware", "oneshot", "bi", "magnitude", "random"}
}

// Races reports whether the strategy is one of those that race, which a time limit and a confidence are for.
func (m Method) Races() bool {
	s := cmp.Or(m.Strategy, Strategies()[0])
	return s == "fast" || s == "refine"
}

// decider is a strategy as it was set up for a search, with what it says of itself afterwards.
type decider struct {
	strategy search.Strategy
	fast     *search.Fast   // of the strategies that race
	refine   *search.Refine // of refine
	refined  *search.Refined
	aware    *fit.Aware
	scoredOn string // of aware: its own text
	use      []int  // sequences that are decided on; nil is all
}

// decider returns the method's strategy on ledger. steps is about how many it will make, schedule how it uses its time.
func (s *Source) decider(ctx context.Context, q SearchRequest, session engine.Session, set *perplexity.Set, ledger *search.Ledger, steps int,
	plan *search.Schedule,
) (*decider, error) {
	d, m := &decider{}, q.Method
	switch cmp.Or(m.Strategy, Strategies()[0]) {
	case "greedy":
		d.strategy = search.Greedy{Scorer: ledger}
	case "fast", "refine":
		return d, d.race(m, ledger, q.Unit, steps, plan)
	case "aware":
		var err error
		if d.aware, d.scoredOn, err = s.aware(ctx, q, session, set); err == nil {
			d.strategy = d.aware
		}
		return d, err
	case "oneshot":
		d.strategy = search.Oneshot(ledger)
	case "bi":
		d.strategy = search.BI(ledger, func(ctx context.Context) (engine.Influence, error) { return Influence(ctx, session, set) })
	case "magnitude":
		d.strategy = search.Magnitude(ledger, WeightNorm(ctx, s.File, session.Weights))
	case "random":
		d.strategy = search.Random(ledger, m.Seed)
	default:
		return nil, fmt.Errorf("unknown strategy %q; use one of %v", m.Strategy, Strategies())
	}
	return d, nil
}

// race sets up fast, and refine behind it.
func (d *decider) race(m Method, ledger *search.Ledger, unit blockmask.Unit, steps int, plan *search.Schedule) error {
	d.fast = search.NewFast(ledger, m.Seed)
	d.fast.Rule.Confidence = cmp.Or(m.Confidence, search.DefaultConfidence)
	d.strategy = d.fast
	all := ledger.Sequences()
	if plan != nil {
		d.fast.Admit, d.fast.Rule.Finalists = plan.Admit, plan.Finalists
		if plan.Sequences < len(all) {
			d.use = search.Draw(len(all), plan.Sequences, m.Seed)
			d.fast.Use = d.use
		}
	}
	if m.Strategy != "refine" {
		return nil
	}
	if len(all) < 2 {
		return errors.New("--strategy refine needs at least two sequences of text; give more text or more --chunks")
	}
	d.refine = &search.Refine{Ledger: ledger, Rule: d.fast.Rule, Seed: m.Seed}
	use := all
	if d.use != nil {
		use = d.use
	}
	half, other := search.Halves(len(use), m.Seed)
	for _, i := range half {
		d.refine.Search = append(d.refine.Search, use[i])
	}
	for _, i := range other {
		d.refine.Validation = append(d.refine.Validation, use[i])
	}
	d.refine.MaxCost = search.RefineShare * ledger.PaperTotal(unit, steps) * float64(len(use)) / float64(len(all))
	if plan != nil {
		d.refine.MaxCost = max(1, plan.Refine)
	}
	d.fast.Use = d.refine.Search
	return nil
}

// run searches.
func (d *decider) run(ctx context.Context, model *search.Model, unit blockmask.Unit, goal search.Goal, on func(search.Event)) (
	*search.Result, error,
) {
	if d.refine == nil {
		return search.Run(ctx, d.strategy, model, unit, goal, on)
	}
	order := search.NewFast(d.fast.Ledger, d.fast.Seed)
	order.Rule, order.Use = d.fast.Rule, d.use
	res, refined, err := search.RunRefine(ctx, d.fast, d.refine, order, model, unit, goal, on)
	d.refined = refined
	return res, err
}

// settings records what the search decided by.
func (d *decider) settings(q SearchRequest) search.Settings {
	m := q.Method
	out := search.Settings{
		Strategy: cmp.Or(m.Strategy, Strategies()[0]), Unit: q.Unit, Goal: q.Goal, Seed: m.Seed, Sequences: len(d.use),
	}
	if f := d.fast; f != nil {
		out.Confidence, out.Tolerance, out.Finalists = f.Rule.Confidence, f.Rule.Tolerance, f.Rule.Finalists
		out.Admit, out.AuditEvery = f.Admit, f.AuditEvery
	}
	return out
}

// audit is what the races' audits found, nil without races.
func (d *decider) audit() *search.Audit {
	if d.fast == nil {
		return nil
	}
	return &d.fast.Seen
}

// journalPath is where the measurements of the search for a plan are kept until it is done.
func journalPath(plan string) string { return plan + ".journal" }

// openJournal opens the journal beside the job's plan; nil without a plan. What an earlier run of the same search measured is
// found there.
func (s *Source) openJournal(j Job, set *perplexity.Set, rep Reporter) (*search.Journal, error) {
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
	}{cmp.Or(m.Strategy, Strategies()[0]), m.Metric.String(), cmp.Or(m.Confidence, search.DefaultConfidence), m.Time, j.Unit, j.Goal, m.Seed, j.Text.Batch, j.Runtime.FlashAttn, j.Calibration.config()})
	if err != nil {
		return nil, err
	}
	journal, err := search.OpenJournal(journalPath(j.Plan), search.Header{
		ModelSHA256: hash, TokensSHA256: set.SHA256(), Config: config, Tool: j.Tool, LlamaCpp: llamabind.LlamaTag,
	})
	if err != nil {
		return nil, err
	}
	if n := journal.Found(); n > 0 {
		rep.Notef("resumed from %s: %d measurements are there", filepath.Base(journalPath(j.Plan)), n)
	} else if n := journal.Notes(fit.AwareNotes); n > 0 {
		rep.Notef("resumed from %s: %d steps are there", filepath.Base(journalPath(j.Plan)), n)
	}
	return journal, nil
}
