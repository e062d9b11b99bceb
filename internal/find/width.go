package find

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// usualGrain is what widths are multiples of where the goal allows it: kernels are fast on them.
const usualGrain = 64

// width narrows every FFN to one width, as far as the goal asks: no search, one fit. What goes is chosen, and what stays is fitted, on
// the repair's texts; the plan has one step, whose mask says which channels stay. The session is closed on the way, and the source
// runs with the fitted weights afterwards.
func (f *finder) width(ctx context.Context, calib *calibrate.Calibration) (res *Result, err error) {
	if !f.Repair.Wanted() {
		return nil, fmt.Errorf("--kind %s fits what stays of each FFN; leave --repair off out", blockmask.Width)
	}
	ffns, full, err := f.ffns()
	if err != nil {
		return nil, err
	}
	kept, err := f.chooseWidth(ffns, full)
	if err != nil {
		return nil, err
	}
	before, err := f.sums(ctx, calib, "whole model")
	if err != nil {
		return nil, err
	}
	base := perplexity.PPL(f.set.Convention, before[0])
	f.sink.Notef("whole model: PPL %.4f; every FFN keeps %d of %d channels", base, kept, full)
	f.session.Close()
	f.session = nil
	widths := map[blockmask.Block]int{}
	for _, b := range ffns {
		widths[b] = kept
	}
	options := f.Repair
	options.Usual = false // without the fit there is no result
	done, err := repair.Run(ctx, f.src, repair.Request{
		Blocks: f.blocks, Widths: widths, Options: options, Text: f.Text, Tool: f.Tool, Anew: true, Output: f.Output,
	}, f.sink)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, done.Close())
		}
	}()
	nSeq, seqLen := f.Text.Shape(f.set.Longest())
	if f.session, err = f.src.Session(ctx, nSeq, seqLen); err != nil {
		return nil, err
	}
	after, err := f.sums(ctx, calib, "narrowed model")
	if err != nil {
		return nil, err
	}
	mask := done.Mask()
	step, err := f.widthStep(mask, perplexity.PPL(f.set.Convention, after[0]))
	if err != nil {
		return nil, err
	}
	p, err := f.newPlan(calib, found{
		result:   &search.Result{Base: base, Steps: []search.Step{step}},
		settings: search.Settings{Strategy: string(blockmask.Width), Unit: f.Unit, Goal: f.Goal, Seed: f.Method.Seed},
	})
	if err != nil {
		return nil, err
	}
	if calib.Held != nil {
		p.HeldOut = plan.NewHeldOut(calib.Held, perplexity.NewChange(f.set.Convention, before[0], after[0]),
			perplexity.NewChange(calib.Held.Convention, before[1], after[1]))
	}
	return &Result{Plan: p, Blocks: f.blocks, Removed: mask, Fitted: done}, f.savePlan(p)
}

// ffns are the FFNs that can be narrowed: all of them, of one width.
func (f *finder) ffns() (out []blockmask.Block, full int, err error) {
	for _, b := range f.blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		n, reason := repair.Channels(f.src.File, b)
		if reason == "" && full != 0 && n != full {
			reason = fmt.Sprintf("it has %d channels, others %d", n, full)
		}
		if reason != "" {
			return nil, 0, fmt.Errorf("the channels of %s cannot be removed: %s; use another --kind", b.Block, reason)
		}
		full = n
		out = append(out, b.Block)
	}
	if len(out) == 0 {
		return nil, 0, fmt.Errorf("the model has no FFN whose channels could be removed; use another --kind")
	}
	return out, full, nil
}

// chooseWidth returns the largest width that reaches the goal.
func (f *finder) chooseWidth(ffns []blockmask.Block, full int) (int, error) {
	if f.Goal.Ratio == 0 && f.Goal.Size == 0 {
		return 0, fmt.Errorf("--kind %s removes an amount; give --ratio or --target-size", blockmask.Width)
	}
	grain := repair.Grain(f.src.File, ffns)
	if grain < usualGrain {
		grain = usualGrain
	}
	var last error
	for width := (full - 1) / grain * grain; width > 0; width -= grain {
		step, err := f.widthStep(uniform(ffns, width), 0)
		if err != nil {
			last = err
			continue
		}
		if f.Goal.Ratio > 0 && step.Ratio >= f.Goal.Ratio || f.Goal.Size > 0 && step.Size <= f.Goal.Size {
			return width, nil
		}
	}
	if last != nil {
		return 0, last
	}
	return 0, fmt.Errorf("without all channels of its FFNs the model is still larger than that; give a smaller goal, or another --kind")
}

// uniform is the mask of FFNs that keep their first channels: of the size that any others make.
func uniform(ffns []blockmask.Block, width int) blockmask.Mask {
	list := make([]int, width)
	for i := range list {
		list[i] = i
	}
	kept, err := blockmask.NewIndices(list)
	if err != nil {
		return nil // wider than any model: the layout says so
	}
	var cuts []blockmask.Cut
	for _, b := range ffns {
		cuts = append(cuts, blockmask.Cut{Block: b, Channels: kept})
	}
	return blockmask.Of(cuts...)
}

// widthStep describes the model without the channels that mask removes.
func (f *finder) widthStep(mask blockmask.Mask, score float64) (search.Step, error) {
	s := search.Step{Index: 1, Removed: mask, Score: score}
	r := f.layoutRequest(mask)
	var err error
	if s.Size, err = layout.Size(r); err != nil {
		return s, err
	}
	w, err := f.src.Sizes(f.blocks).OfMask(mask)
	if err != nil {
		return s, err
	}
	s.ParamsRemoved = w.Params
	s.Ratio = float64(w.Params) / float64(f.src.File.Params())
	s.Candidates = []search.Candidate{{Mask: mask, Score: score}}
	return s, nil
}

// sums measures the model as it is on the calibration, and on what is held out of it.
func (f *finder) sums(ctx context.Context, calib *calibrate.Calibration, label string) (out [2][]perplexity.Sum, err error) {
	sets := []*perplexity.Set{f.set, calib.Held}
	total := f.set.Tokens()
	if calib.Held != nil {
		total += calib.Held.Tokens()
	}
	bar := f.sink.Start(label, int64(total))
	defer bar.Stop()
	tokens := 0
	for i, set := range sets {
		if set == nil {
			continue
		}
		eval, err := perplexity.NewEvaluator(f.session, calibrate.PlainSet(set))
		if err != nil {
			return out, err
		}
		eval.OnProgress = func(p perplexity.Progress) {
			tokens += p.Tokens
			bar.Set(int64(tokens), "")
		}
		which := make([]int, len(set.Sequences))
		for j := range which {
			which[j] = j
		}
		if out[i], _, err = eval.Sums(ctx, nil, nil, which); err != nil {
			return out, err
		}
		for _, s := range out[i] {
			if math.IsNaN(s.NLL) || math.IsInf(s.NLL, 0) {
				return out, fmt.Errorf("the %s's loss is not finite; is the file damaged?", label)
			}
		}
	}
	return out, nil
}
