package repair

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
)

// cutOff takes the channels that q.Removed does not keep out of their FFNs, and fits nothing: the columns of the output projections that
// stay are those of src, rounded to the type anew. From now on sessions of src run so.
func (q Request) cutOff(ctx context.Context, src *source.Source, sink progress.Sink) error {
	parts := q.Removed.Parts()
	if len(parts) == 0 {
		return nil
	}
	src.Spec.Model.NoMmap = true
	p := NewProjections(src.Spec.Engine, src.File, q.Blocks)
	changed := map[string][]byte{}
	var cuts []fit.Narrowed
	for _, c := range parts {
		n, full, err := p.cut(c)
		if err != nil {
			return err
		}
		changed[n.Tensor], cuts = full, append(cuts, n)
	}
	if err := loadCut(ctx, src, retype.ScratchFolder(q.Output), changed, cuts, sink); err != nil {
		return err
	}
	sink.Warnf("without a repair the channels that stay are not fitted: the model loses more than the scores of its plan say")
	return nil
}

// cut encodes an output projection of which some columns stay: without the others, and full with zeros for them.
func (p Projections) cut(c blockmask.Cut) (n fit.Narrowed, full []byte, err error) {
	all, reason, err := p.Projections(c.Block)
	switch {
	case err != nil:
		return n, nil, err
	case reason == "" && (len(all) != 1 || all[0].Experts > 0):
		reason = "it is no dense FFN with one output projection"
	case reason == "" && c.Channels.Max() >= all[0].In:
		reason = fmt.Sprintf("it is to keep channel %d, and has %d, counted from 0", c.Channels.Max(), all[0].In)
	}
	if reason != "" {
		return n, nil, fmt.Errorf("%s cannot lose channels: %s", c.Block, reason)
	}
	q, width := all[0], c.Channels.Len()
	zeroed, left := make([]float32, len(q.Weights)), make([]float32, 0, q.Out*width)
	for o := range q.Out {
		for i := range c.Channels.All() {
			w := q.Weights[o*q.In+i]
			zeroed[o*q.In+i] = w
			left = append(left, w)
		}
	}
	if full, err = p.Encode(q, zeroed, nil); err != nil {
		return n, nil, err
	}
	n = fit.Narrowed{Tensor: q.Name, Kept: c.Channels}
	n.Data, err = p.Encode(&fit.Projection{Name: q.Name, In: width, Out: q.Out}, left, nil)
	return n, full, err
}
