package search

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// ErrExploded is wrapped by the error of a search that finds no model with a finite score.
var ErrExploded = errors.New("score is not finite")

var errAllExploded = fmt.Errorf("every candidate's %w; remove less", ErrExploded)

// Run removes units from model, as s chooses, until goal is reached. on, if not nil, receives the events.
//
// A goal that makes no sense is a [GoalError] before anything is evaluated. Any other error, such as that of a cancelled ctx,
// comes with the steps that were completed.
func Run(ctx context.Context, s Strategy, model *Model, unit blockmask.Unit, goal Goal, on func(Event)) (*Result, error) {
	if on == nil {
		on = func(Event) {}
	}
	if err := model.Check(unit, goal); err != nil {
		return nil, err
	}
	if e, ok := s.(Estimator); ok && goal.OfQuality() {
		e.MeasureAll() // a bound is to be kept by what was measured
	}
	on(Started{Strategy: s.Name(), Unit: unit, Goal: goal, Blocks: len(model.Blocks)})
	r := &Result{Base: math.NaN()}
	start := model.State(nil)
	var removed blockmask.Mask
	for {
		step, err := r.next(ctx, s, removed, model.Next(unit, removed), on)
		if goal.OfQuality() && (errors.Is(err, ErrGoalMissed) || errors.Is(err, errAllExploded)) && len(r.Steps) > 0 {
			on(Finished{Steps: len(r.Steps)})
			return r, nil // nothing else can go within the bound
		}
		if err != nil {
			return r, err
		}
		removed = removed.Union(step.Removed)
		if done, err := r.within(ctx, model, goal, removed, step); err != nil {
			return r, err
		} else if done {
			on(Finished{Steps: len(r.Steps)})
			return r, nil
		}
		now := model.State(removed)
		step.ParamsRemoved, step.Ratio, step.Size = model.ParamsOf(removed), now.Ratio, now.Size
		step.Speedup = now.Speedup
		if goal.Reached(now) {
			if err := finish(ctx, s, removed, &step); err != nil {
				return r, err
			}
		}
		r.Steps = append(r.Steps, step)
		on(StepDone{Step: step, Base: r.Base, Progress: goal.progress(start, now)})
		if goal.Reached(now) {
			on(Finished{Steps: len(r.Steps)})
			return r, nil
		}
	}
}

// finish makes sure that the score of the last step was measured.
func finish(ctx context.Context, s Strategy, removed blockmask.Mask, step *Step) error {
	f, ok := s.(Finisher)
	if !ok {
		return nil
	}
	c, err := f.Finish(ctx, removed)
	if err != nil {
		return fmt.Errorf("step %d: %w", step.Index, err)
	}
	if !jsonnum.Finite(c.Base) {
		return fmt.Errorf("step %d: the %w; remove less", step.Index, ErrExploded)
	}
	step.Score, step.Cost = c.Base, step.Cost+c.Cost
	for i := range step.Candidates {
		if step.Candidates[i].Mask.Equal(step.Removed) {
			step.Candidates[i].Score, step.Candidates[i].Sequences = c.Base, 0
		}
	}
	return nil
}

// within reports whether step, the last of removed, leaves the bound of a goal of quality, so that the search ends before it.
func (r *Result) within(ctx context.Context, model *Model, goal Goal, removed blockmask.Mask, step Step) (done bool, err error) {
	if !goal.OfQuality() {
		return false, nil
	}
	quality := math.NaN()
	if model.Quality != nil {
		if quality, err = model.Quality(ctx, removed); err != nil {
			return false, fmt.Errorf("step %d: %w", step.Index, err)
		}
	}
	if goal.Allows(quality, r.Base, step.Score) {
		return false, nil
	}
	if len(r.Steps) == 0 {
		return false, goal.Fail("nothing can be removed within that bound: without %s it would be %.4g; allow more",
			step.Removed, goal.measure(quality, r.Base, step.Score))
	}
	return true, nil
}

// next makes one step after removed, as far as the strategy knows about it.
func (r *Result) next(ctx context.Context, s Strategy, removed blockmask.Mask, candidates []blockmask.Mask, on func(Event)) (Step, error) {
	index := len(r.Steps) + 1
	if err := ctx.Err(); err != nil {
		return Step{}, err
	}
	if len(candidates) == 0 {
		return Step{}, fmt.Errorf("%w: %d steps removed all that can go", ErrGoalMissed, len(r.Steps))
	}
	on(StepStarted{Index: index, Removed: removed, Candidates: candidates})
	c, err := s.Choose(ctx, removed, candidates)
	if err != nil {
		return Step{}, fmt.Errorf("step %d: %w", index, err)
	}
	if index == 1 {
		if !jsonnum.Finite(c.Base) {
			return Step{}, fmt.Errorf("the whole model's %w; is the file damaged?", ErrExploded)
		}
		r.Base = c.Base
		on(BaseScored{Score: c.Base})
	}
	for _, cand := range c.Scored {
		on(CandidateScored{Index: index, Candidate: cand.Mask, Score: cand.Score})
	}
	best := c.Scored[c.Best]
	if !jsonnum.Finite(best.Score) {
		return Step{}, fmt.Errorf("step %d: %w", index, errAllExploded)
	}
	return Step{Index: index, Removed: best.Mask, Score: best.Score, Candidates: c.Scored, Cost: c.Cost, PaperCost: c.PaperCost}, nil
}
