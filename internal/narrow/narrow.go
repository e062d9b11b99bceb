// Package narrow decides how wide FFNs become, and fits them: no search, but a few shapes that are fitted on a part of the text and judged
// on another, the best of which is fitted on all of it.
package narrow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// usualGrain is what widths are multiples of where the goal allows it: kernels are fast on them.
const usualGrain = 64

// Job asks how wide FFNs become.
type Job struct {
	Unit   blockmask.Unit // Auto or Width
	Goal   search.Goal
	Time   time.Duration // that the whole job may take; 0 is as long as it takes
	Repair repair.Options
	Text   corpus.Text
	Tool   string
	Output string               // the file that is to be written
	Plan   string               // the plan that is to be saved; temporary files go beside it
	Types  map[string]gguf.Type // that tensors are quantised to when the file is written
	Tasks  Tasks
	After  int                                 // positions that what follows the fit runs through the model
	Blocks []layout.Block                      // of the source
	Size   func(blockmask.Mask) (int64, error) // of the file without a mask, or why there is none
}

// Given is what was measured of the whole model.
type Given struct {
	Journal  fit.Notes     // keeps what is found; it may be a nil journal
	Times    *search.Model // what blocks take; nil: unknown
	Position float64       // seconds that a position takes through the model
}

// Found is what was decided, and fitted.
type Found struct {
	Mask    blockmask.Mask // all that goes
	Removed blockmask.Mask // whole blocks of it
	Shapes  []plan.Shape   // that were tried
	Fitted  *repair.Done
}

// Narrower finds how wide FFNs become.
type Narrower struct {
	Job
	src     *source.Source
	sink    progress.Sink
	journal fit.Notes

	full  map[blockmask.Block]int // channels of each FFN
	ffns  []blockmask.Block       // in the model's order
	grain int                     // of the widths
	mixed bool                    // widths may differ

	effort    effort
	pace      pace
	length    int                  // of the fit's sequences
	positions func(tokens int) int // of a fit that is asked for so many tokens
	amount    search.Goal          // what a shape must reach: the goal, or, where that bounds quality, the ratio that is tried
	times     *search.Model        // what blocks take; nil: unknown
	before    tasks.Rights         // the whole model's answers
	probed    *probed              // nil: nothing was probed yet
	twin      retype.Twin          // that is loaded
	own       *perplexity.Corpus   // that the model has written for the fit
	uniform   shape.Shape          // the widest one of one width that reaches the goal
}

// New looks at the model's FFNs. The error says why they cannot be narrowed, or not so far.
func New(src *source.Source, j Job, sink progress.Sink) (*Narrower, error) {
	n := &Narrower{Job: j, src: src, sink: sink, full: map[blockmask.Block]int{}, amount: j.Goal, pace: pace{began: time.Now()}}
	if !j.Repair.Wanted() {
		return nil, fmt.Errorf("--kind %s fits what stays of each FFN; leave --repair off out", j.Unit)
	}
	n.Repair.Usual = false // without the fit there is no result
	for _, b := range j.Blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		width, reason := repair.Channels(src.File, b)
		if reason != "" {
			return nil, fmt.Errorf("the channels of %s cannot be removed: %s", b.Block, reason)
		}
		n.full[b.Block] = width
		n.pace.cubes += math.Pow(float64(width), 3)
		n.ffns = append(n.ffns, b.Block)
	}
	if len(n.ffns) == 0 {
		return nil, fmt.Errorf("the model has no FFN whose channels could be removed")
	}
	if j.Goal.Blocks > 0 {
		return nil, fmt.Errorf("--blocks counts whole blocks; --kind %s takes --ratio, --target-size, --target-speedup or a bound of quality", j.Unit)
	}
	if size := src.File.Bytes(); j.Goal.Size > 0 && size <= j.Goal.Size {
		return nil, j.Goal.Fail("nothing to remove: the model has %d bytes already, the target is %d", size, j.Goal.Size)
	}
	n.grain = max(usualGrain, repair.Grain(src.File, n.ffns, j.Types))
	if err := n.storable(n.narrow(0)); err != nil {
		return nil, err
	}
	n.mixed = len(n.ffns) > 1 && n.storable(n.narrow(1)) == nil
	if j.Goal.Speedup > 0 || j.Goal.OfQuality() { // what these take is measured first
		return n, nil
	}
	return n, n.oneWidth()
}

// Grain is what widths are multiples of.
func (n *Narrower) Grain() int { return n.grain }

// loadTwin loads a copy that is computed faster, where there is one.
func (n *Narrower) loadTwin(ctx context.Context) (err error) {
	n.twin, err = n.Repair.Twin(n.src).LoadNoted(ctx, n.src, cmp.Or(n.Output, n.Plan), n.journal, n.sink)
	return err
}

// Run chooses a shape and fits it. The source runs with the fitted weights afterwards. The caller closes what is fitted, or removes it
// when the file is written.
func (n *Narrower) Run(ctx context.Context, g Given) (*Found, error) {
	n.journal, n.times, n.pace.position = g.Journal, g.Times, g.Position
	if n.Goal.Speedup > 0 && n.oneWidth() != nil {
		return nil, n.Goal.Fail("cannot get %.4g times as fast by narrower FFNs; give a smaller factor, or --kind mix", n.Goal.Speedup)
	}
	if n.Goal.Size > 0 && n.oneWidth() != nil { // anew: by now it is known what the file will say of the text
		return nil, n.Goal.Fail("cannot reach %d bytes by narrower FFNs; give a larger size, or --kind mix", n.Goal.Size)
	}
	begin := time.Now()
	var err error
	if n.before, err = n.answer(ctx, nil); err != nil {
		return nil, err
	}
	if n.before != nil {
		n.pace.answers = time.Since(begin).Seconds()
	}
	n.length = source.DefaultContext(n.Text.Context, n.src.Model.Info())
	if n.positions, err = n.request(shape.Shape{}).Positions(n.length); err != nil {
		return nil, err
	}
	if err := n.schedule(); err != nil {
		return nil, err
	}
	if n.own, err = n.writeOwn(ctx); err != nil {
		return nil, err
	}
	if err = n.loadTwin(ctx); err != nil {
		return nil, err
	}
	out := new(Found)
	var chosen shape.Shape
	if n.Goal.OfQuality() {
		chosen, out.Shapes, err = n.chooseWithin(ctx)
	} else {
		chosen, out.Shapes, err = n.choose(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := n.timeLast(); err != nil {
		return nil, err
	}
	tried := chosen
	if chosen, out.Fitted, err = n.fitWhole(ctx, chosen); err != nil {
		return nil, err
	}
	if !chosen.Equal(tried) {
		last, err := n.shapeOf(chosen, out.Fitted.Result)
		if err != nil {
			return nil, errors.Join(err, out.Fitted.Close())
		}
		out.Shapes = taken(out.Shapes, last)
	}
	out.Removed = chosen.Removed
	out.Mask = out.Fitted.Mask().Union(chosen.Removed)
	n.checkSize(out.Mask)
	return out, nil
}
