package find

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// usualGrain is what widths are multiples of where the goal allows it: kernels are fast on them.
const usualGrain = 64

// narrower finds how wide FFNs become: no search, but fits.
type narrower struct {
	*finder
	full  map[blockmask.Block]int // channels of each FFN
	ffns  []blockmask.Block       // in the model's order
	mixed bool                    // widths may differ

	effort  effort
	pace    pace
	amount  search.Goal        // what a shape must reach: the goal, or, where that bounds quality, the ratio that is tried
	times   *search.Model      // what blocks take; nil: unknown
	twin    repair.Twin        // that is loaded
	own     *perplexity.Corpus // that the model has written for the fit
	uniform shape.Shape        // the widest one of one width that reaches the goal
}

// run narrows FFNs as far as the goal asks: a few shapes are fitted on a part of the repair's texts and judged on another, and the best
// one is fitted on all of them. The plan has one step, whose mask says which channels stay. The session is closed on the way, and the
// source runs with the fitted weights afterwards.
func (n *narrower) run(ctx context.Context, calib *calibrate.Calibration) (res *Result, err error) {
	f := n.finder
	if f.journal, err = f.openJournal(); err != nil {
		return nil, err
	}
	defer f.journal.Close() //nolint:errcheck // every note was synced
	defer func() {
		var goal *search.GoalError
		if errors.As(err, &goal) { // nothing to go on from, and another goal would be refused
			err = errors.Join(err, f.journal.Remove())
		}
		if err != nil && ctx.Err() != nil && f.journal != nil {
			f.sink.Notef("what was measured so far is kept in %s: the same command goes on from there", filepath.Base(JournalPath(f.Plan)))
		}
	}()
	begin := time.Now()
	base, err := f.ppl(ctx, "whole model")
	if err != nil {
		return nil, err
	}
	n.pace.position = time.Since(begin).Seconds() / float64(f.set.Tokens())
	f.sink.Notef("whole model: PPL %.4f", base)
	others, err := n.unseen(ctx)
	if err != nil {
		return nil, err
	}
	f.session.Close()
	f.session = nil
	before, err := n.answer(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err := n.predictSpeed(ctx); err != nil {
		return nil, err
	}
	f.Repair.Usual = false // without the fit there is no result
	if err := n.schedule(); err != nil {
		return nil, err
	}
	if n.own, err = n.writeOwn(ctx); err != nil {
		return nil, err
	}
	if n.twin, err = repair.LoadTwin(ctx, f.src, f.Repair, f.Plan, f.sink); err != nil {
		return nil, err
	}
	var chosen shape.Shape
	var tried []plan.Shape
	if n.Goal.OfQuality() {
		chosen, tried, err = n.chooseWithin(ctx)
	} else {
		chosen, tried, err = n.choose(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := n.timeLast(); err != nil {
		return nil, err
	}
	chosen, done, err := n.fitWhole(ctx, chosen)
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
	score, err := f.ppl(ctx, "narrowed model")
	if err != nil {
		return nil, err
	}
	mask := done.Mask().Union(chosen.Removed)
	step, err := n.widthStep(mask, score)
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
	p.Shapes = tried
	for _, k := range done.Kinds {
		p.Kinds = append(p.Kinds, plan.Kind{Name: k.Name, Sequences: k.Sequences, Before: k.Before, After: k.After})
	}
	spoilt, err := n.kindsOf(ctx, others)
	if err != nil {
		return nil, err
	}
	p.Kinds = append(p.Kinds, spoilt...)
	after, err := n.answer(ctx, chosen.Removed)
	if err != nil {
		return nil, err
	}
	p.Tasks = n.taskResults(before, after)
	f.warnKinds(p.Kinds)
	if err := f.savePlan(p); err != nil {
		return nil, err
	}
	if err := f.journal.Remove(); err != nil {
		f.sink.Warnf("the journal of the finished fits could not be removed: %v", err)
	}
	return &Result{Plan: p, Blocks: f.blocks, Removed: mask, Fitted: done}, nil
}

// narrows returns what narrows the model's FFNs, where that is asked for; nil where blocks are to be searched. Of kind auto, they are where
// the FFNs cannot be narrowed.
func (f *finder) narrows(ctx context.Context) (*narrower, error) {
	if f.Unit != blockmask.Auto && f.Unit != blockmask.Width {
		return nil, nil
	}
	var err error
	if f.blocks, err = f.src.FindBlocks(ctx); err != nil {
		return nil, err
	}
	n, err := f.narrower()
	if err == nil && f.Goal.Speedup == 0 && !f.Goal.OfQuality() { // what these take is measured first
		err = n.oneWidth()
	}
	if err != nil {
		if f.Unit == blockmask.Width {
			return nil, fmt.Errorf("%w; use another --kind", err)
		}
		f.sink.Notef("whole blocks are searched: %v", err)
		if f.Method.Time > 0 && f.Repair.Usual {
			f.sink.Notef("--time is that of the search; the repair behind it takes longer, --repair off does without")
		}
		f.Unit = blockmask.Mix
		return nil, nil
	}
	// What is held back is held back of the fit's text, and scores are only told.
	f.Calibration.HeldOut = 0
	if f.Text.Max == 0 || f.Text.Max > toldSequences {
		f.Text.Max = toldSequences
	}
	return n, nil
}

// narrower looks at the model's FFNs. The error says why they cannot be narrowed.
func (f *finder) narrower() (*narrower, error) {
	n := &narrower{finder: f, full: map[blockmask.Block]int{}, amount: f.Goal, pace: pace{began: time.Now()}}
	if !f.Repair.Wanted() {
		return nil, fmt.Errorf("--kind %s fits what stays of each FFN; leave --repair off out", f.Unit)
	}
	for _, b := range f.blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		width, reason := repair.Channels(f.src.File, b)
		if reason != "" {
			return nil, fmt.Errorf("the channels of %s cannot be removed: %s", b.Block, reason)
		}
		n.full[b.Block] = width
		n.ffns = append(n.ffns, b.Block)
	}
	if len(n.ffns) == 0 {
		return nil, fmt.Errorf("the model has no FFN whose channels could be removed")
	}
	if f.Goal.Blocks > 0 {
		return nil, fmt.Errorf("--blocks counts whole blocks; --kind %s takes --ratio, --target-size, --target-speedup or a bound of quality", f.Unit)
	}
	if size := f.src.File.Bytes(); f.Goal.Size > 0 && size <= f.Goal.Size {
		return nil, f.Goal.Fail("nothing to remove: the model has %d bytes already, the target is %d", size, f.Goal.Size)
	}
	n.grain = max(usualGrain, repair.Grain(f.src.File, n.ffns, f.Types))
	if err := n.storable(n.narrow(0)); err != nil {
		return nil, err
	}
	n.mixed = len(n.ffns) > 1 && n.storable(n.narrow(1)) == nil
	return n, nil
}

// narrow is a shape whose FFNs are narrower by a little, but for the first few.
func (n *narrower) narrow(whole int) shape.Shape {
	s := shape.Shape{Widths: map[blockmask.Block]int{}}
	for i, b := range n.ffns {
		s.Widths[b] = n.full[b]
		if i >= whole && n.full[b] > n.grain {
			s.Widths[b] = (n.full[b] - 1) / n.grain * n.grain
		}
	}
	return s
}

// storable says why there is no file for a shape.
func (n *narrower) storable(s shape.Shape) error {
	mask, err := s.Mask(n.full)
	if err != nil {
		return err
	}
	_, err = layout.Size(n.layoutRequest(mask))
	return err
}

// fits reports whether a shape reaches the goal.
func (n *narrower) fits(s shape.Shape) (bool, error) {
	mask, err := s.Mask(n.full)
	if err != nil {
		return false, err
	}
	step, err := n.widthStep(mask, 0)
	if err != nil {
		return false, err
	}
	g := n.amount
	return g.Ratio > 0 && step.Ratio >= g.Ratio || g.Size > 0 && step.Size <= g.Size || g.Speedup > 0 && step.Speedup >= g.Speedup, nil
}

// oneWidth finds the widest FFNs of one width that reach the goal.
func (n *narrower) oneWidth() (err error) {
	n.uniform, err = shape.Uniform(oneWidth, n.full, nil, n.grain, n.fits)
	return err
}

// predictSpeed measures what blocks take, for shapes to be told by, and finds what a goal of speed takes.
func (n *narrower) predictSpeed(ctx context.Context) error {
	m := n.model()
	if err := n.finder.predictSpeed(ctx, m, layout.Native); err != nil {
		return err
	}
	if m.Times != nil {
		n.times = m
	}
	if n.Goal.Speedup == 0 {
		return nil
	}
	if err := n.oneWidth(); err != nil {
		return n.Goal.Fail("cannot get %.4g times as fast by narrower FFNs; give a smaller factor, or --kind mix", n.Goal.Speedup)
	}
	return nil
}

// speedup is that of the model without what mask removes: an FFN takes as much less time as it has fewer channels. 0: unknown.
func (n *narrower) speedup(mask blockmask.Mask) float64 {
	if n.times == nil {
		return 0
	}
	whole, left := n.times.Rest, n.times.Rest
	for _, b := range n.times.Blocks {
		t := n.times.Times[b]
		whole += t
		switch c, ok := mask.Cut(b); {
		case !ok:
			left += t
		case !c.Gone():
			left += t * float64(c.Channels.Len()) / float64(n.full[b])
		}
	}
	return whole / left
}

// request asks for the fit of a shape.
func (n *narrower) request(s shape.Shape) repair.Request {
	return repair.Request{
		Blocks: n.blocks, Removed: s.Removed, Widths: s.Narrowed(n.full), Options: n.Repair, Text: n.Text, Tool: n.Tool, Twin: n.twin, Own: n.own,
		Anew: true, Output: n.Output,
	}
}

// widthStep describes the model without what mask removes.
func (n *narrower) widthStep(mask blockmask.Mask, score float64) (search.Step, error) {
	f := n.finder
	s := search.Step{Index: 1, Removed: mask, Score: score, Speedup: n.speedup(mask)}
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

// toldSequences of the calibration are enough for a perplexity that nothing is decided by.
const toldSequences = 32

// ppl measures the model as it is on the calibration.
func (f *finder) ppl(ctx context.Context, label string) (float64, error) {
	return f.pplOn(ctx, calibrate.PlainSet(f.set), label)
}

// pplOn measures the model as it is.
func (f *finder) pplOn(ctx context.Context, set *perplexity.Set, label string) (float64, error) {
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
	est, err := eval.Estimate(ctx, nil, nil)
	if err == nil && (math.IsNaN(est.PPL) || math.IsInf(est.PPL, 0)) {
		err = fmt.Errorf("the %s's loss is not finite; is the file damaged?", label)
	}
	return est.PPL, err
}
