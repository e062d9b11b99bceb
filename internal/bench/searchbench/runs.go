package searchbench

import (
	"context"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// found is what a strategy did.
type found struct {
	steps  []search.Step
	cost   float64 // part of the paper's
	cpu    float64 // seconds
	refine *search.Refined
	audit  search.Audit
}

// mask returns the first steps' removals, k blocks at least.
func (f *found) mask(k int) blockmask.Mask {
	var m blockmask.Mask
	for _, s := range f.steps {
		if len(m) < k {
			m = m.Union(s.Removed)
		}
	}
	return m
}

// search runs a strategy until n blocks are gone.
func (r *rig) search(ctx context.Context, l *search.Ledger, s search.Strategy, unit blockmask.Unit, n int) (found, error) {
	cpu, spent := machine.CPUSeconds(), l.Spent()
	res, err := search.Run(ctx, s, r.searchModel(), unit, search.Goal{Blocks: n}, nil)
	if err != nil {
		return found{}, err
	}
	f := found{steps: res.Steps, cost: (l.Spent() - spent) / r.paperCost(l, n), cpu: machine.CPUSeconds() - cpu}
	if fast, ok := s.(*strategy.Fast); ok {
		f.audit = fast.Seen
	}
	return f, nil
}

// refineBlocks is the number of removed blocks at which greedy, fast and refine are compared on every sample.
const refineBlocks = 8

// greedy searches a sample with greedy, and returns the ledger, which has all that it measured.
func (r *rig) greedy(ctx context.Context, sample uint64) (*search.Ledger, found, error) {
	l, err := r.ledger(ctx, perplexity.NLL, r.n, sample, nil)
	if err != nil {
		return nil, found{}, err
	}
	f, err := r.search(ctx, l, strategy.Greedy{Scorer: l}, blockmask.Mix, refineBlocks)
	return l, f, err
}

// refined runs fast and its refinement until n blocks are gone.
func (r *rig) refined(ctx context.Context, l *search.Ledger, seed uint64, n int) (found, error) {
	cpu := machine.CPUSeconds()
	half, validation := strategy.Halves(len(l.Sequences()), seed)
	fast, order := strategy.NewFast(l, seed), strategy.NewFast(l, seed)
	paper := r.paperCost(l, n)
	re := &strategy.Refine{Ledger: l, Rule: fast.Rule, Seed: seed, Search: half, Validation: validation, MaxCost: strategy.RefineShare * paper}
	res, refined, err := strategy.RunRefine(ctx, fast, re, order, r.searchModel(), blockmask.Mix, search.Goal{Blocks: n}, nil)
	if err != nil {
		return found{}, err
	}
	return found{steps: res.Steps, cost: l.Spent() / paper, cpu: machine.CPUSeconds() - cpu, refine: refined, audit: fast.Seen}, nil
}

// paperCost returns what the paper's procedure takes until n single blocks are gone, in block-tokens.
func (r *rig) paperCost(l *search.Ledger, n int) float64 {
	total := 0.0
	var removed blockmask.Mask
	for range n {
		cands := blockmask.Candidates(blockmask.Mix, r.session.Blocks(), removed)
		total += l.PaperCost(removed, cands)
		removed = removed.Union(cands[0])
	}
	return total
}

// searchModel gives every block one parameter: goals here are numbers of blocks.
func (r *rig) searchModel() *search.Model {
	m := &search.Model{Blocks: slices.Clone(r.session.Blocks()), Params: map[blockmask.Block]uint64{}}
	for _, b := range m.Blocks {
		m.Params[b] = 1
	}
	m.Total = uint64(len(m.Blocks)) + 1
	return m
}
