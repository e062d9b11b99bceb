package find

import (
	"context"
	"errors"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/interrupt"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Run finds what to remove from src by its loss on text c (nil where the model writes its own), and saves the plan. When the search is
// cut short, the plan so far is saved too.
func Run(ctx context.Context, src *source.Source, j Job, c *perplexity.Corpus, sink progress.Sink) (*Result, error) {
	if j.Calibration.Self && j.Text.Max == 0 {
		j.Text.Max = calibrate.SelfDocuments
	}
	f := &finder{Job: j, src: src, sink: sink, began: time.Now()}
	narrower, err := f.narrows(ctx)
	if err != nil {
		return nil, err
	}
	calib, err := calibrate.Prepare(ctx, src, f.Text, f.Calibration, c, sink)
	if err != nil {
		return nil, err
	}
	f.set = calib.Set
	nSeq, seqLen := f.Text.Shape(f.set.Longest())
	if f.session, err = src.Session(ctx, nSeq, seqLen); err != nil {
		return nil, err
	}
	defer func() {
		if f.session != nil {
			f.session.Close()
		}
	}()
	src.StartHash()
	f.blocks = source.LayoutBlocks(f.session)
	sink.Notef("%s: %s, %d layers, %d blocks; %s", src.Spec.Path, src.File.Arch(), src.Model.Info().NLayer, len(f.blocks), f.set.Describe())
	if narrower != nil {
		return f.narrow(ctx, calib, narrower)
	}
	if f.journal, err = f.openJournal(); err != nil {
		return nil, err
	}
	defer f.journal.Close() //nolint:errcheck // every step was synced
	found, searchErr := f.search(ctx)
	p, err := f.finish(ctx, calib, found, searchErr)
	if err != nil {
		return nil, err
	}
	if f.Writes {
		if err := f.offTwin(ctx); err != nil {
			return nil, err
		}
	}
	return &Result{Plan: p, Blocks: f.blocks, Removed: found.result.Removed(), Repair: f.Repair}, nil
}

// finish judges what was found, and saves the plan.
func (f *finder) finish(ctx context.Context, calib *calibrate.Calibration, found found, searchErr error) (*plan.Plan, error) {
	res := found.result
	var goal *search.GoalError
	failed := searchErr != nil && !errors.Is(searchErr, context.Canceled)
	if failed && !f.measured() || errors.As(searchErr, &goal) {
		// The journal has nothing to go on from, or leads to a goal that cannot be: it would only be in the way of another search.
		searchErr = errors.Join(searchErr, f.journal.Remove())
	}
	if searchErr != nil && (res == nil || len(res.Steps) == 0 || f.Plan == "") {
		return nil, searchErr
	}
	var held *plan.HeldOut
	if searchErr == nil && len(res.Steps) > 0 {
		held, searchErr = calib.Judge(ctx, f.session, res.Removed(), found.used, f.sink)
	}
	p, err := f.newPlan(calib, found)
	if err == nil {
		p.HeldOut = held
		err = f.savePlan(p)
	}
	if searchErr != nil {
		if err == nil {
			f.sink.Notef("the plan so far, %d steps, is saved in %s; the same command goes on from there", len(res.Steps), f.Plan)
		}
		return nil, errors.Join(searchErr, err)
	}
	if err != nil {
		return nil, err
	}
	if err := f.journal.Remove(); err != nil {
		f.sink.Warnf("the journal of the finished search could not be removed: %v", err)
	}
	return p, nil
}

// found is what a search came to.
type found struct {
	result   *search.Result // as far as it got; nil if no step was begun
	settings search.Settings
	audit    *search.Audit
	refined  *search.Refined
	used     []int  // sequences that were decided on; nil is all
	scoredOn string // the text that was scored on, where that was not the set; else ""
}

// search finds what to remove, by the scores of the set. An error comes with the steps that were completed, if any.
func (f *finder) search(ctx context.Context) (found, error) {
	model := f.model()
	kind, err := f.tryLayout(model)
	if err != nil {
		return found{}, err
	}
	if f.Goal.Speedup == 0 { // else the times of the blocks come first
		if err := model.Check(f.Unit, f.Goal); err != nil {
			return found{}, err
		}
	}
	if err := f.predictSpeed(ctx, model, kind); err != nil {
		return found{}, err
	}
	if err := model.Check(f.Unit, f.Goal); err != nil {
		return found{}, err
	}
	if err := f.timePosition(ctx); err != nil {
		return found{}, err
	}
	if err := f.onTwin(ctx); err != nil {
		return found{}, err
	}
	if f.set, err = f.withMetric(ctx, f.Method.Metric); err != nil {
		return found{}, err
	}
	eval, err := perplexity.NewEvaluator(f.session, f.set)
	if err != nil {
		return found{}, err
	}
	if model.Quality, err = f.quality(ctx); err != nil {
		return found{}, err
	}
	ledger := search.NewLedger(eval, f.cost(), f.journal, "")
	release := interrupt.Hold(ctx)
	defer release()
	ledger.Stop = func() error { return interrupt.Requested(ctx) }
	ahead := func(removed blockmask.Mask) int {
		if f.Goal.OfQuality() { // how many steps a bound of quality leads to is unknown: a third of the model is much
			whole, left := blockmask.Candidates(f.Unit, model.Blocks, nil), blockmask.Candidates(f.Unit, model.Blocks, removed)
			return len(left) - len(whole)*2/3
		}
		return model.Steps(f.Unit, f.Goal, removed)
	}
	steps := max(1, ahead(nil))
	schedule, err := f.schedule(ctx, eval, steps)
	if err != nil {
		return found{}, err
	}
	d, err := f.prepare(ctx, ledger, steps, schedule)
	if err != nil {
		return found{}, err
	}
	w := newWatcher(f.sink, ledger, d, f.Options, ahead)
	defer w.stop()
	res, err := d.Run(ctx, model, w.event)
	return found{result: res, settings: d.Settings, audit: d.Audit, refined: d.Refined, used: d.Use, scoredOn: d.ScoredOn}, err
}
