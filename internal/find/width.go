package find

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/narrow"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// narrow narrows FFNs as far as the goal asks. The plan has one step, whose mask says which channels stay. The session is closed on the
// way, and the source runs with the fitted weights afterwards.
func (f *finder) narrow(ctx context.Context, calib *calibrate.Calibration, n *narrow.Narrower) (res *Result, err error) {
	if f.journal, err = f.openJournal(); err != nil {
		return nil, err
	}
	defer f.journal.Close() //nolint:errcheck // every note was synced
	defer func() {
		var goal *search.GoalError
		if errors.As(err, &goal) || err != nil && ctx.Err() == nil && f.journal.Notes(narrow.TrialNotes) == 0 {
			// Nothing to go on from, or a goal that cannot be: the journal would only be in the way of another one.
			err = errors.Join(err, f.journal.Remove())
		}
		if err != nil && ctx.Err() != nil && f.journal != nil {
			f.sink.Notef("what was measured so far is kept in %s: the same command goes on from there", filepath.Base(JournalPath(f.Plan)))
		}
	}()
	begin := time.Now()
	base, err := f.ppl(ctx, nil, "whole model")
	if errors.Is(err, errNotFinite) {
		err = fmt.Errorf("%w; is the file damaged?", err)
	}
	if err != nil {
		return nil, err
	}
	position := time.Since(begin).Seconds() / float64(f.set.Tokens())
	f.sink.Notef("whole model: PPL %.4f", base)
	others, err := f.unseen(ctx)
	if err != nil {
		return nil, err
	}
	f.session.Close()
	f.session = nil
	times := f.model()
	if err := f.predictSpeed(ctx, times, layout.Native); err != nil {
		return nil, err
	}
	if times.Times == nil {
		times = nil
	}
	got, err := n.Run(ctx, narrow.Given{Journal: f.journal, Times: times, Position: position})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, got.Fitted.Close())
		}
	}()
	nSeq, seqLen := f.Text.Shape(f.set.Longest())
	if f.session, err = f.src.Session(ctx, nSeq, seqLen); err != nil {
		return nil, err
	}
	score, err := f.ppl(ctx, got.Removed, "narrowed model")
	if err != nil {
		return nil, err
	}
	step, err := n.Step(got.Mask, score)
	if err != nil {
		return nil, err
	}
	p, err := f.newPlan(calib, found{
		result:   &search.Result{Base: base, Steps: []search.Step{step}},
		settings: search.Settings{Strategy: string(f.Unit), Unit: f.Unit, Goal: f.Goal, Seed: f.Method.Seed},
	})
	if err != nil {
		return nil, err
	}
	p.Shapes = got.Shapes
	spoilt, err := f.kindsOf(ctx, got.Removed, others)
	if err != nil {
		return nil, err
	}
	p.Kinds = slices.Concat(got.Fitted.Kinds, spoilt)
	p.Tasks, err = n.Accuracy(ctx, got.Removed)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil { // the fit is made: what is only told must not end the job
		f.sink.Warnf("the accuracy of what is left is not known: %v", err)
	}
	f.warnKinds(p.Kinds)
	if err := f.savePlan(p); err != nil {
		return nil, err
	}
	if err := f.journal.Remove(); err != nil {
		f.sink.Warnf("the journal of the finished fits could not be removed: %v", err)
	}
	return &Result{Plan: p, Blocks: f.blocks, Removed: got.Mask, Fitted: got.Fitted, Repair: f.Repair}, nil
}

// narrows returns what narrows the model's FFNs, where that is asked for; nil where blocks are to be searched. Of kind auto, they are where
// the FFNs cannot be narrowed.
func (f *finder) narrows(ctx context.Context) (*narrow.Narrower, error) {
	if f.Unit != blockmask.Auto && f.Unit != blockmask.Width {
		return nil, nil
	}
	var err error
	if f.blocks, err = f.src.FindBlocks(ctx); err != nil {
		return nil, err
	}
	n, err := narrow.New(f.src, narrow.Job{
		Unit: f.Unit, Goal: f.Goal, Time: f.Method.Time, Repair: f.Repair, Text: f.Text, Tool: f.Tool, Output: f.Output, Plan: f.Plan, Types: f.Types,
		Tasks: f.Tasks, After: f.After, Blocks: f.blocks, Size: f.model().Size,
	}, f.sink)
	if err != nil {
		if f.Unit == blockmask.Width {
			return nil, fmt.Errorf("%w; use another --kind", err)
		}
		f.sink.Notef("whole blocks are searched: %v", err)
		if len(f.Tasks.Sets) > 0 {
			f.sink.Warnf("a search of blocks does not look at the tasks of --task; measure the file by ggufprune eval")
		}
		f.Unit = blockmask.Mix
		return nil, nil
	}
	f.grain = n.Grain()
	// What is held back is held back of the fit's text, and scores are only told.
	f.Calibration.HeldOut = 0
	if f.Text.Max == 0 || f.Text.Max > toldSequences {
		f.Text.Max = toldSequences
	}
	return n, nil
}

// toldSequences of the calibration are enough for a perplexity that nothing is decided by.
const toldSequences = 32

// ppl measures the model without removed, as it is by now, on the calibration.
func (f *finder) ppl(ctx context.Context, removed blockmask.Mask, label string) (float64, error) {
	return f.pplOn(ctx, calibrate.PlainSet(f.set), removed, label)
}

var errNotFinite = errors.New("is not finite")

// pplOn measures it on a set.
func (f *finder) pplOn(ctx context.Context, set *perplexity.Set, removed blockmask.Mask, label string) (float64, error) {
	bar := f.sink.Start(label, int64(set.Tokens()))
	defer bar.Stop()
	eval, err := perplexity.NewEvaluator(f.session, set)
	if err != nil {
		return 0, err
	}
	tokens := 0
	eval.OnProgress = func(p perplexity.Progress) {
		tokens += p.Tokens
		bar.Set(int64(tokens), "")
	}
	est, err := eval.Estimate(ctx, removed, nil)
	if err == nil && (math.IsNaN(est.PPL) || math.IsInf(est.PPL, 0)) {
		err = fmt.Errorf("the loss of the %s %w", label, errNotFinite)
	}
	return est.PPL, err
}
