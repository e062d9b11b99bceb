// Package strategy has the ways to search. [All] is their table: a new strategy is an entry there, and a type that implements
// [search.Strategy].
//
//   - [Greedy] is the paper's: every candidate on the whole text, in every step.
//   - [Fast] makes greedy's decisions from a fraction of its evaluations, by racing.
//   - [Refine] improves what fast has found, by exchanging blocks.
//   - [Aware] scores what a repair would leave of the loss.
//   - [Ranked] is the frame of the baselines: [Oneshot], [BI], [Magnitude], [Random].
//
// All but aware measure with the search's ledger. Nothing here opens a file or prints.
package strategy

import (
	"cmp"
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// Spec is a strategy by its name, before it is set up for a search.
type Spec struct {
	Name    string
	Races   bool // it decides on a part of the text: it takes a limit of time and a confidence
	Refines bool // it goes on when the goal is reached, at the same amount removed, so that its goal cannot be a bound of quality
	Repairs bool // it counts on a repair afterwards: it needs Setup.Repair, and scores by perplexity only

	prepare func(Setup) (*Prepared, error)
}

// All returns the table of the strategies, the default first.
func All() []Spec {
	return []Spec{
		{Name: "fast", Races: true, prepare: prepareFast},
		{Name: "greedy", prepare: func(s Setup) (*Prepared, error) {
			return &Prepared{Strategy: Greedy{Scorer: s.Ledger}, StepCost: GreedyCost(s.Ledger, s.Unit)}, nil
		}},
		{Name: "refine", Races: true, Refines: true, prepare: prepareRefine},
		{Name: "aware", Repairs: true, prepare: prepareAware},
		{Name: "oneshot", prepare: baseline(func(s Setup) *Ranked { return Oneshot(s.Ledger) })},
		{Name: "bi", prepare: baseline(func(s Setup) *Ranked { return BI(s.Ledger, s.Influence) })},
		{Name: "magnitude", prepare: baseline(func(s Setup) *Ranked { return Magnitude(s.Ledger, s.Norm) })},
		{Name: "random", prepare: baseline(func(s Setup) *Ranked { return Random(s.Ledger, s.Seed) })},
	}
}

func baseline(ranked func(Setup) *Ranked) func(Setup) (*Prepared, error) {
	return func(s Setup) (*Prepared, error) {
		return &Prepared{Strategy: ranked(s), StepCost: RankedCost(s.Ledger, s.Unit)}, nil
	}
}

// Names returns the names of all strategies, the default first.
func Names() (names []string) {
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

// Find returns the strategy with that name; the default if it is "".
func Find(name string) (Spec, error) {
	for _, s := range All() {
		if name == "" || s.Name == name {
			return s, nil
		}
	}
	return Spec{}, fmt.Errorf("unknown strategy %q; use one of %v", name, Names())
}

// Setup is what a search has for its strategy.
type Setup struct {
	Ledger     *search.Ledger // what it measures with
	Unit       blockmask.Unit
	Goal       search.Goal
	Metric     perplexity.Metric // of the ledger's scores
	Seed       uint64            // of what is drawn
	Confidence float64           // of races; 0 is DefaultConfidence
	Steps      int               // about how many there will be
	Schedule   *Schedule         // of strategies that race: how the time is used; nil without a limit

	// What only some strategies ask for, when they are prepared or later. Those of others may be nil.
	Influence func(context.Context) (engine.Influence, error)
	Norm      func(blockmask.Block) (float64, error) // size of a block's weights
	Repair    func() (*Repair, error)
	Notes     fit.Notes // what earlier runs decided; nil: nothing, and nothing is kept
}

// Repair is what a strategy needs that counts on a repair.
type Repair struct {
	Runner    engine.BlockRunner
	Weights   fit.Weights
	Fit, Held [][]engine.Sequence // see [fit.Batches]
	Text      string              // what these are, for people
	Width     int                 // n_embd
	Params    uint64              // parameters of all blocks
}

// Prepare sets the strategy up for one search.
func (s Spec) Prepare(u Setup) (*Prepared, error) {
	p, err := s.prepare(u)
	if err != nil {
		return nil, err
	}
	p.unit, p.goal = u.Unit, u.Goal
	p.onRun = append(p.onRun, &u.Ledger.OnRun)
	set := &p.Settings
	set.Strategy, set.Unit, set.Goal, set.Seed, set.Sequences = s.Name, u.Unit, u.Goal, u.Seed, len(p.Use)
	return p, nil
}

// Prepared is a strategy that was set up for one search.
type Prepared struct {
	Strategy search.Strategy
	StepCost search.StepCost // of its steps, predicted
	Settings search.Settings // what it decides by
	Use      []int           // sequences that are decided on; nil is all
	ScoredOn string          // the text that is scored on, where that is not the ledger's; else ""

	MaxRefine float64         // most block-tokens of what comes after the goal is reached; 0 where nothing does
	Audit     *search.Audit   // what races' audits find, nil without races
	Refined   *search.Refined // what refinement did, after Run; nil where there is none

	unit   blockmask.Unit
	goal   search.Goal
	fast   *Fast
	refine *Refine
	onRun  []*func(search.BatchRun)
}

// OnRun has f told of what runs through the model: see [search.Ledger].
func (p *Prepared) OnRun(f func(search.BatchRun)) {
	for _, on := range p.onRun {
		*on = f
	}
}

// Run searches. It returns what [search.Run] does.
func (p *Prepared) Run(ctx context.Context, model *search.Model, on func(search.Event)) (*search.Result, error) {
	if p.refine == nil {
		return search.Run(ctx, p.Strategy, model, p.unit, p.goal, on)
	}
	order := NewFast(p.fast.Ledger, p.fast.Seed)
	order.Rule, order.Use = p.fast.Rule, p.Use
	res, refined, err := RunRefine(ctx, p.fast, p.refine, order, model, p.unit, p.goal, on)
	p.Refined = refined
	return res, err
}

func prepareFast(s Setup) (*Prepared, error) {
	f := NewFast(s.Ledger, s.Seed)
	f.Rule.Confidence = cmp.Or(s.Confidence, DefaultConfidence)
	p := &Prepared{Strategy: f, Audit: &f.Seen, fast: f}
	if all := s.Ledger.Sequences(); s.Schedule != nil {
		f.Admit, f.Rule.Finalists = s.Schedule.Admit, s.Schedule.Finalists
		if s.Schedule.Sequences < len(all) {
			p.Use = Draw(len(all), s.Schedule.Sequences, s.Seed)
			f.Use = p.Use
		}
	}
	set := &p.Settings
	set.Confidence, set.Tolerance, set.Finalists = f.Rule.Confidence, f.Rule.Tolerance, f.Rule.Finalists
	set.Admit, set.AuditEvery = f.Admit, f.AuditEvery
	p.StepCost = f.StepCost(s.Unit)
	return p, nil
}
