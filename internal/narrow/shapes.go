package narrow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Of a probe: the parts of an FFN's channels that are tried, and how many positions are fitted and measured on.
var probeParts = []float64{2. / 3, 1. / 3}

const (
	probeTokens = 8192
	probeJudged = 512
)

// choose fits some shapes on a part of the text, and returns the one that loses the least on what is held back of it, by [Narrower.loss].
func (n *Narrower) choose(ctx context.Context) (shape.Shape, []plan.Shape, error) {
	if !n.mixed {
		n.sink.Notef("every FFN keeps %s", n.uniform.Describe(n.widest()))
		return n.uniform, nil, nil
	}
	if n.effort.Shapes == oneShape {
		s, err := n.sparing()
		if err != nil {
			s = n.uniform
		}
		n.sink.Notef("the shape is %s: %s", s.Name, s.Describe(n.widest()))
		return s, nil, nil
	}
	c := &choice{Narrower: n}
	which, err := c.tryAll(ctx)
	if err != nil {
		return shape.Shape{}, nil, err
	}
	at := pick(c.tried, which, n.loss, c.narrowest)
	n.sink.Notef("the shape is %s", c.shapes[at].Name)
	return c.shapes[at], chosenOf(c.tried, at), nil
}

// TrialNotes begins the names of a journal's notes on trials.
const TrialNotes = "trial "

// trial is what came of a shape.
type trial struct {
	plan.Shape
	Answers tasks.Rights `json:"answers,omitempty"` // to the tasks; nil: there are none
}

// chosenOf are the shapes that were tried, with a mark on the one that was chosen.
func chosenOf(tried []trial, which int) (out []plan.Shape) {
	for i, t := range tried {
		t.Chosen = i == which
		out = append(out, t.Shape)
	}
	return out
}

// tryAll tries the shapes of the amount that is asked for, and returns where they stand among those that were tried.
func (c *choice) tryAll(ctx context.Context) (which []int, err error) {
	n := c.Narrower
	try := func(s shape.Shape) error {
		at, err := c.try(ctx, s)
		if err == nil && at >= 0 {
			which = append(which, at)
		}
		return err
	}
	if err := try(n.uniform); err != nil {
		return nil, err
	}
	// The first FFN works token by token, the last one on the logits: whether they can lose channels at all is seen first.
	var spared []blockmask.Block
	if s, err := n.sparing(); err == nil {
		if err := try(s); err != nil {
			return nil, err
		}
		if len(which) > 0 && c.shapes[slices.MinFunc(which, c.byLoss)].Name == s.Name {
			spared = n.ends()
		}
	}
	more, err := n.shapes(ctx, spared)
	if err != nil {
		return nil, err
	}
	for _, s := range more {
		if err := try(s); err != nil {
			return nil, err
		}
	}
	if len(which) == 0 {
		return nil, n.Goal.Fail("what is left after removing so much predicts nothing; give a smaller goal")
	}
	return which, nil
}

// narrowest is the width of a tried shape's narrowest FFN; 0 where whole blocks go.
func (c *choice) narrowest(i int) int {
	if c.shapes[i].Removed.Len() > 0 {
		return 0
	}
	lo, _ := c.shapes[i].Range()
	return lo
}

// byLoss compares two of those that were tried.
func (c *choice) byLoss(a, b int) int {
	return cmp.Compare(c.loss(c.tried[a].Shape), c.loss(c.tried[b].Shape))
}

// ends are the first FFN and the last.
func (n *Narrower) ends() []blockmask.Block {
	return []blockmask.Block{n.ffns[0], n.ffns[len(n.ffns)-1]}
}

// sparing is one width for all but the ends.
func (n *Narrower) sparing() (shape.Shape, error) {
	if len(n.ffns) <= 4 {
		return shape.Shape{}, errors.New("the model has too few FFNs to spare two of them")
	}
	s, err := shape.Uniform(oneWidth+endsSpared, n.full, n.ends(), n.grain, n.fits)
	if err != nil {
		return s, err
	}
	return shape.Fill(s, n.ffns, n.full, n.grain, n.fits)
}

// oneWidth is the name of the shape whose FFNs have one.
const oneWidth = "one width"

// endsSpared is added to the name of a shape whose first and last FFN keep their widths.
const endsSpared = ", the ends spared"

// choice is the best of some shapes.
type choice struct {
	*Narrower
	shapes []shape.Shape
	tried  []trial // of each
}

// try tries a shape, unless it was, and returns where it stands among those that were tried; -1 where it leaves no model that predicts.
func (c *choice) try(ctx context.Context, s shape.Shape) (at int, err error) {
	if at := slices.IndexFunc(c.shapes, s.Equal); at >= 0 {
		return at, nil
	}
	t, err := c.Narrower.try(ctx, s)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", s.Name, err)
	}
	if !jsonnum.Finite(t.Loss) {
		c.sink.Notef("%s, %s: no model that predicts after a short fit", s.Name, t.Keeps)
		return -1, nil
	}
	accuracy := ""
	if t.Accuracy != nil {
		accuracy = fmt.Sprintf(", accuracy %.1f%%", 100**t.Accuracy)
	}
	c.sink.Notef("%s, %s: perplexity x%.3f, KLD %.3f on held-back text after a short fit%s", s.Name, t.Keeps, math.Exp(t.Loss), t.KLD, accuracy)
	c.shapes, c.tried = append(c.shapes, s), append(c.tried, t)
	return len(c.tried) - 1, nil
}

// loss is what shapes are chosen by: what the goal bounds, or else the loss and the divergence together. Both are in nats for a token;
// of two shapes that lose about the same, the one that is nearer to the whole model has changed less of what the text does not show.
func (n *Narrower) loss(t plan.Shape) float64 {
	switch {
	case n.Goal.MaxKLD > 0:
		return t.KLD
	case n.Goal.OfQuality():
		return t.Loss
	}
	return t.Loss + t.KLD
}

// try fits a shape on a part of the text, unless the journal knows what it loses.
func (n *Narrower) try(ctx context.Context, s shape.Shape) (t trial, err error) {
	note := TrialNotes + s.Name
	if n.Goal.OfQuality() {
		note += fmt.Sprintf(" of %g", n.amount.Ratio)
	}
	if raw := n.journal.Note(note); raw != nil && json.Unmarshal(raw, &t) == nil {
		return t, nil
	}
	q := n.request(s)
	q.Trial, q.Compare = true, true
	begin := time.Now()
	var answering, solved time.Duration
	q.Spent = &solved
	q.Judge = func(ctx context.Context) (err error) {
		begin := time.Now()
		t.Answers, err = n.answer(ctx, s.Removed)
		answering = time.Since(begin)
		return err
	}
	done, err := repair.Run(ctx, n.src, q, n.sink)
	if err != nil {
		return t, err
	}
	n.pace.trial, n.pace.solved = (time.Since(begin) - answering).Seconds(), solved.Seconds()
	if t.Shape, err = n.shapeOf(s, done.Result); err != nil {
		return t, err
	}
	if t.Answers != nil {
		accuracy := t.Answers.Mean()
		t.Accuracy = &accuracy
	}
	if !jsonnum.Finite(t.Loss) { // no number for a note
		return t, nil
	}
	return t, n.journal.SetNote(note, t)
}

// shapeOf describes a shape, with what its fit lost.
func (n *Narrower) shapeOf(s shape.Shape, r *fit.Result) (plan.Shape, error) {
	step, err := n.stepOf(s)
	out := lost(r)
	out.Name, out.Keeps, out.Mixers = s.Name, s.Describe(n.widest()), n.mixersLeft(s)
	out.Ratio, out.Size, out.Speedup = step.Ratio, step.Size, step.Speedup
	return out, err
}

// lost is what a fit lost on the text that was held back from it.
func lost(r *fit.Result) plan.Shape {
	return plan.Shape{Loss: r.NLLAfter - r.NLLBefore, KLD: r.KLD}
}

// widest is the most channels of an FFN.
func (n *Narrower) widest() (most int) {
	for _, width := range n.full {
		most = max(most, width)
	}
	return most
}

// shapes are those whose FFNs differ by what each was measured to be worth.
func (n *Narrower) shapes(ctx context.Context, spared []blockmask.Block) (out []shape.Shape, err error) {
	found, err := n.probe(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		n.sink.Notef("no widths by measured loss: %v", err)
		return nil, nil
	}
	add := func(name string, least float64, wholes []shape.Whole) {
		if len(spared) > 0 {
			name += endsSpared
		}
		if s, err := shape.Allocate(name, found.FFNs, wholes, spared, least, n.grain, n.fits); err == nil {
			out = append(out, s)
		}
	}
	add("widths by measured loss", shape.LeastPart, nil)
	if one, _ := n.uniform.Range(); one > 0 { // what cheap FFNs lose together is more than the sum: halfway to one width
		add("evener widths by measured loss", (shape.LeastPart+float64(one)/float64(n.widest()))/2, nil)
	}
	if n.Unit == blockmask.Auto {
		add("widths and attentions by measured loss", shape.LeastPart, found.Wholes)
	}
	return out, nil
}

// mixersLeft is the part of the mixers that a shape keeps: of the KV cache, where they are attentions of one size.
func (n *Narrower) mixersLeft(s shape.Shape) float64 {
	all, left := 0, 0
	for _, b := range n.Blocks {
		if b.Kind != blockmask.Mixer {
			continue
		}
		all++
		if !s.Removed.Has(b.Block) {
			left++
		}
	}
	return float64(left) / float64(max(1, all))
}

// writeOwn has the model write text for the fit, unless the journal has it: a fit that goes on must see the same one.
func (n *Narrower) writeOwn(ctx context.Context) (*perplexity.Corpus, error) {
	const note = "own text"
	var documents []string
	if raw := n.journal.Note(note); raw != nil && json.Unmarshal(raw, &documents) == nil {
		return perplexity.Special(repair.OwnText, documents), nil
	}
	own, err := repair.LoadOwn(ctx, n.src, n.request(shape.Shape{}), n.sink)
	if err != nil {
		return nil, err
	}
	return own, n.journal.SetNote(note, own.Documents)
}

// probed is what a probe found.
type probed struct {
	FFNs   []shape.FFN   `json:"ffns"`
	Wholes []shape.Whole `json:"wholes"`
}

// probe measures every FFN at some widths, and the model without each mixer, unless the journal knows it.
func (n *Narrower) probe(ctx context.Context) (out probed, err error) {
	if n.probed != nil {
		return *n.probed, nil
	}
	defer func() {
		if err == nil {
			n.probed = &out
		}
	}()
	if raw := n.journal.Note("probe"); raw != nil && json.Unmarshal(raw, &out) == nil {
		return out, nil
	}
	if out, err = n.measure(ctx); err != nil {
		return out, err
	}
	return out, n.journal.SetNote("probe", out)
}

func (n *Narrower) measure(ctx context.Context) (out probed, err error) {
	widths := map[blockmask.Block][]int{}
	var gone []blockmask.Block
	for _, b := range n.Blocks {
		if b.Kind == blockmask.Mixer {
			if n.Unit == blockmask.Auto && n.storable(shape.Shape{Widths: n.narrow(1).Widths, Removed: blockmask.New(b.Block)}) == nil {
				gone = append(gone, b.Block)
			}
			continue
		}
		full := n.full[b.Block]
		for _, part := range probeParts {
			if w := int(part*float64(full)) / n.grain * n.grain; w > 0 && (len(widths[b.Block]) == 0 || w < widths[b.Block][0]) {
				widths[b.Block] = append(widths[b.Block], w)
			}
		}
		if len(widths[b.Block]) == 0 {
			return out, fmt.Errorf("%s has %d channels, too few to choose from", b.Block, full)
		}
	}
	q := repair.Request{Blocks: n.Blocks, Options: n.Repair, Text: n.Text, Tool: n.Tool, Own: n.own}
	q.Options.Tokens = min(probeTokens, q.Options.Tokens)
	got, err := repair.Probe(ctx, n.src, q, widths, gone, probeJudged, n.sink)
	if err != nil {
		return out, err
	}
	sizes := n.src.Sizes(n.Blocks)
	for _, b := range n.ffns {
		mask, err := (shape.Shape{Widths: map[blockmask.Block]int{b: widths[b][0]}}).Mask(n.full)
		if err != nil {
			return out, err
		}
		w, err := sizes.OfMask(mask)
		if err != nil {
			return out, err
		}
		out.FFNs = append(out.FFNs, shape.FFN{
			Block: b, Full: n.full[b], Widths: widths[b], Losses: got.Narrow[b],
			Channel: float64(w.Params) / float64(n.full[b]-widths[b][0]),
		})
	}
	for _, b := range gone {
		out.Wholes = append(out.Wholes, shape.Whole{Block: b, Loss: got.Gone[b], Params: float64(sizes.Of(b).Params)})
	}
	return out, nil
}
