package search

import (
	"context"
	"errors"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Within lets a strategy choose among the parts of a mask only: it finds an order for it.
type Within struct {
	Strategy Strategy
	Mask     blockmask.Mask
}

// Name returns "order".
func (Within) Name() string { return "order" }

// Choose picks one of the candidates that are parts of the mask.
func (w Within) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (Choice, error) {
	inside := slices.DeleteFunc(slices.Clone(candidates), func(c blockmask.Mask) bool { return !w.Mask.HasAll(c) })
	if len(inside) == 0 {
		return Choice{}, errors.New("nothing that is left of the mask can be removed by itself")
	}
	return w.Strategy.Choose(ctx, removed, inside)
}

// RunRefine searches with fast on the search half of refine, improves the result, and returns the steps of an order that ends at
// the improved mask, scored on the whole set. order chooses that order; it should be a strategy on the whole set. refine's Model, Unit and
// Goal are set here.
func RunRefine(ctx context.Context, fast *Fast, refine *Refine, order Strategy, model *Model, unit blockmask.Unit, goal Goal, on func(Event)) (
	*Result, *Refined, error,
) {
	if on == nil {
		on = func(Event) {}
	}
	fast.Use = refine.Search
	r, err := Run(ctx, fast, model, unit, goal, on)
	if err != nil {
		return r, nil, err
	}
	refine.Model, refine.Unit, refine.Goal, refine.on = model, unit, goal, on
	on(Refining{})
	refined, err := refine.Improve(ctx, r.Removed())
	if err != nil {
		return r, nil, err
	}
	ordered, err := Run(ctx, Within{order, refined.Mask}, model, unit, Goal{Blocks: refined.Mask.Len()}, on)
	return ordered, refined, err
}

// Finish finishes the strategy within.
func (w Within) Finish(ctx context.Context, removed blockmask.Mask) (Choice, error) {
	if f, ok := w.Strategy.(Finisher); ok {
		return f.Finish(ctx, removed)
	}
	return Choice{}, errors.New("the strategy that orders a mask must be able to measure it")
}
