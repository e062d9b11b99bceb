package strategy

import (
	"context"
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// Within lets a strategy choose among the parts of a mask only: it finds an order for it.
type Within struct {
	Strategy search.Strategy
	Mask     blockmask.Mask
}

// Name returns "order".
func (Within) Name() string { return "order" }

// Choose picks one of the candidates that are parts of the mask.
func (w Within) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	inside := slices.DeleteFunc(slices.Clone(candidates), func(c blockmask.Mask) bool { return !w.Mask.HasAll(c) })
	if len(inside) == 0 {
		return search.Choice{}, errors.New("nothing that is left of the mask can be removed by itself")
	}
	return w.Strategy.Choose(ctx, removed, inside)
}

// RunRefine searches with fast on the search half of refine, improves the result, and returns the steps of an order that ends at
// the improved mask, scored on the whole set. order chooses that order; it should be a strategy on the whole set. refine's Model, Unit and
// Goal are set here.
func RunRefine(ctx context.Context, fast *Fast, refine *Refine, order search.Strategy, model *search.Model, unit blockmask.Unit,
	goal search.Goal, on func(search.Event),
) (*search.Result, *search.Refined, error) {
	if on == nil {
		on = func(search.Event) {}
	}
	fast.Use = refine.Search
	r, err := search.Run(ctx, fast, model, unit, goal, on)
	if err != nil {
		return r, nil, err
	}
	refine.Model, refine.Unit, refine.Goal, refine.on = model, unit, goal, on
	on(search.Refining{})
	refined, err := refine.Improve(ctx, r.Removed())
	if err != nil {
		return r, nil, err
	}
	ordered, err := search.Run(ctx, Within{order, refined.Mask}, model, unit, search.Goal{Blocks: refined.Mask.Len()}, on)
	return ordered, refined, err
}

// Finish finishes the strategy within.
func (w Within) Finish(ctx context.Context, removed blockmask.Mask) (search.Choice, error) {
	if f, ok := w.Strategy.(search.Finisher); ok {
		return f.Finish(ctx, removed)
	}
	return search.Choice{}, errors.New("the strategy that orders a mask must be able to measure it")
}

// prepareRefine sets up fast, and refine behind it.
func prepareRefine(s Setup) (*Prepared, error) {
	p, err := prepareFast(s)
	if err != nil {
		return nil, err
	}
	all := s.Ledger.Sequences()
	if len(all) < 2 {
		return nil, errors.New("--strategy refine needs at least two sequences of text; give more text or more --chunks")
	}
	r := &Refine{Ledger: s.Ledger, Rule: p.fast.Rule, Seed: s.Seed}
	use := all
	if p.Use != nil {
		use = p.Use
	}
	half, other := Halves(len(use), s.Seed)
	for _, i := range half {
		r.Search = append(r.Search, use[i])
	}
	for _, i := range other {
		r.Validation = append(r.Validation, use[i])
	}
	r.MaxCost = RefineShare * s.Ledger.PaperTotal(s.Unit, s.Steps) * float64(len(use)) / float64(len(all))
	if s.Schedule != nil {
		r.MaxCost = max(1, s.Schedule.Refine)
	}
	p.fast.Use = r.Search
	p.refine, p.MaxRefine, p.StepCost = r, r.MaxCost, p.fast.StepCost(s.Unit)
	return p, nil
}
