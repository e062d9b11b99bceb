package fit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// ProbeRequest asks what single blocks of a model are worth.
type ProbeRequest struct {
	Widths map[blockmask.Block][]int // FFNs: the numbers of channels to try, the largest first
	Gone   []blockmask.Block         // blocks to try the model without
	Fit    [][]engine.Sequence       // what channels are chosen and fitted on
	Judge  [][]engine.Sequence       // what is measured on

	Progress func(done, total int, block blockmask.Block)
}

// Probed is what blocks are worth, each with the rest of the model whole: the KL divergence from the whole model in nats a position,
// or the rise of the loss where the engine cannot give divergences.
type Probed struct {
	Narrow map[blockmask.Block][]float64 // with as many channels as Widths says, chosen and fitted
	Gone   map[blockmask.Block]float64
}

// probeTokens are the most probable tokens of each position that divergences are measured on.
const probeTokens = 64

// prober is a probe under way.
type prober struct {
	ProbeRequest
	*state
	base  float64 // mean loss of the whole model; 0 for divergences
	judge []*batch
}

// Probe measures single blocks in one pass over the unpruned streams, without a change of the model: an FFN's channels are chosen
// and fitted as in [Run], and what they make of its output goes on through the rest of the model.
func Probe(ctx context.Context, e engine.BlockRunner, w Weights, q ProbeRequest) (*Probed, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	p := &prober{ProbeRequest: q, state: &state{e: e, w: w}}
	out := &Probed{Narrow: map[blockmask.Block][]float64{}, Gone: map[blockmask.Block]float64{}}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	blocks := e.Blocks()
	for i, b := range blocks {
		if q.Progress != nil {
			q.Progress(i, len(blocks), b)
		}
		if slices.Contains(q.Gone, b) {
			loss, err := p.loss(ctx, blockmask.Of(blockmask.Cut{Block: b}), i, func(x *batch) []float32 { return x.dense })
			if err != nil {
				return nil, err
			}
			out.Gone[b] = loss
		}
		if len(q.Widths[b]) > 0 {
			losses, err := p.narrow(ctx, b, i)
			if err != nil {
				return nil, err
			}
			out.Narrow[b] = losses
			continue // that has moved the streams on
		}
		for _, x := range append(slices.Clone(p.batches), p.judge...) {
			var err error
			if x.dense, err = e.Segment(ctx, x.seqs, nil, i, i+1, x.dense); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// start brings the streams to the first block.
func (p *prober) start(ctx context.Context) error {
	for _, seqs := range p.Fit {
		p.batches = append(p.batches, &batch{seqs: seqs})
	}
	for _, seqs := range p.Judge {
		x := &batch{seqs: slices.Clone(seqs), held: true}
		if r, ok := p.e.(engine.Referencer); ok {
			refs, err := r.TopK(ctx, seqs, probeTokens)
			if err != nil {
				return err
			}
			for i := range x.seqs {
				x.seqs[i].Ref = refs[i]
			}
		}
		p.judge = append(p.judge, x)
	}
	for _, x := range append(slices.Clone(p.batches), p.judge...) {
		var err error
		if x.dense, err = p.e.Segment(ctx, x.seqs, nil, -1, 0, nil); err != nil {
			return err
		}
	}
	if p.judge[0].seqs[0].Ref != nil {
		return nil
	}
	base, err := p.loss(ctx, nil, 0, func(x *batch) []float32 { return x.dense })
	p.base = base
	return err
}

// loss is what the rest of the model, without removed, makes of streams at boundary at.
func (p *prober) loss(ctx context.Context, removed blockmask.Mask, at int, stream func(*batch) []float32) (float64, error) {
	total, n := 0.0, 0
	for _, x := range p.judge {
		losses, err := p.e.EvalFrom(ctx, x.seqs, removed, at, stream(x))
		if err != nil {
			return 0, err
		}
		loss, count := sum(losses)
		total, n = total+loss, n+count
	}
	return total/float64(n) - p.base, nil
}

// narrow measures an FFN with fewer channels, and moves the streams on.
func (p *prober) narrow(ctx context.Context, b blockmask.Block, at int) ([]float64, error) {
	part, err := p.projection(b)
	if err != nil {
		return nil, err
	}
	q := dense{k: part.In, d: part.Out}
	for _, x := range p.batches {
		features, err := p.features(ctx, part, x, at)
		if err != nil {
			return nil, err
		}
		scaleRows(x.dense, x.positions(), features)
		if err := q.gram(ctx, p.e, part.Name, x.positions(), features); err != nil {
			return nil, err
		}
	}
	w := mat.NewDense(part.In, part.Out, nil)
	for i := range part.In {
		for o := range part.Out {
			w.Set(i, o, float64(part.Weights[o*part.In+i]))
		}
	}
	q.fit.loose = true
	target, err := q.fit.times(w)
	if err != nil {
		return nil, err
	}
	q.fit.c = target.RawMatrix().Data
	taps := map[*batch][]float32{}
	for _, x := range p.judge {
		if taps[x], err = p.features(ctx, part, x, at); err != nil {
			return nil, err
		}
	}
	d, err := q.fit.downdating()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b, err)
	}
	var out []float64
	for _, width := range p.Widths[b] {
		if err := d.to(width); err != nil {
			return nil, fmt.Errorf("%s: %w", b, err)
		}
		change := make([]float32, part.In*part.Out)
		for i, v := range d.v.RawMatrix().Data {
			change[i] = float32(v - w.RawMatrix().Data[i])
		}
		var failed error
		loss, err := p.loss(ctx, nil, at+1, func(x *batch) []float32 {
			s, err := plusProduct(ctx, p.e, part.Name, x.positions(), x.dense, taps[x], change)
			failed = errors.Join(failed, err)
			return s
		})
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, fmt.Errorf("%s with %d channels: the loss is not finite", b, width)
		}
		out = append(out, loss)
	}
	return out, nil
}

// projection is the one output projection of an FFN.
func (p *prober) projection(b blockmask.Block) (*part, error) {
	all, reason, err := p.w.Projections(b)
	switch {
	case err != nil:
		return nil, err
	case reason != "":
		return nil, fmt.Errorf("%s cannot lose channels: %s", b, reason)
	case len(all) != 1 || all[0].Experts > 0:
		return nil, fmt.Errorf("%s has %d output projections; only a dense FFN with one can lose channels", b, len(all))
	}
	return newPart(b, all[0]), nil
}

// features moves a batch's stream through the block at index at, and returns what the projection is multiplied with there.
func (p *prober) features(ctx context.Context, part *part, x *batch, at int) ([]float32, error) {
	t := &engine.Tap{Weight: part.Name}
	after, err := p.e.Segment(ctx, x.seqs, nil, at, at+1, x.dense, t)
	if err != nil {
		return nil, err
	}
	if t.Refused != "" {
		return nil, fmt.Errorf("%s cannot lose channels: %s", part.block, t.Refused)
	}
	if t.Norm != nil {
		return nil, fmt.Errorf("%s has a norm behind its output projection, through which no probe sees", part.block)
	}
	if t.K != part.In || t.Used > 0 || len(t.Scale) != x.positions() {
		return nil, fmt.Errorf("%s cannot lose channels: its output projection does not have one row for each position", part.block)
	}
	x.dense = after
	applyScale(t)
	return t.Features, nil
}
