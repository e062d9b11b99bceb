package repair

import (
	"context"
	"errors"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// cutOffTokens is the batch of a session that is opened only to change weights.
const cutOffTokens = 32

// cutOff takes the channels that q.Removed does not keep out of their FFNs, and fits nothing: the columns of the output projections that
// stay are those of src, rounded to the type anew. From now on sessions of src run so.
func (q Request) cutOff(ctx context.Context, src *source.Source, sink progress.Sink) error {
	parts := q.Removed.Parts()
	if len(parts) == 0 {
		return nil
	}
	if err := src.Unmap(ctx); err != nil {
		return err
	}
	session, err := src.Session(ctx, 1, cutOffTokens)
	if err != nil {
		return err
	}
	defer session.Close()
	runner, ok := session.(engine.BlockRunner)
	if !ok {
		return errors.New("this engine cannot change weights")
	}
	p := NewProjections(src.Spec.Engine, src.File, q.Blocks)
	changed, narrowed := map[string][]byte{}, map[string][]byte{}
	for _, c := range parts {
		t, full, narrow, err := p.cut(c)
		if err != nil {
			return err
		}
		if err := runner.SetWeight(t, full); err != nil {
			return err
		}
		changed[t], narrowed[t] = full, narrow
	}
	src.SetWeights(changed, fileWeights(changed, narrowed))
	sink.Warnf("without a repair the channels that stay are not fitted: the model loses more than the scores of its plan say")
	return nil
}

// cut encodes an output projection of which some columns stay: full with zeros for the others, and narrow without them.
func (p Projections) cut(c blockmask.Cut) (name string, full, narrow []byte, err error) {
	all, reason, err := p.Projections(c.Block)
	switch {
	case err != nil:
		return "", nil, nil, err
	case reason == "" && (len(all) != 1 || all[0].Experts > 0):
		reason = "it is no dense FFN with one output projection"
	case reason == "" && c.Channels.Max() >= all[0].In:
		reason = fmt.Sprintf("it is to keep channel %d, and has %d, counted from 0", c.Channels.Max(), all[0].In)
	}
	if reason != "" {
		return "", nil, nil, fmt.Errorf("%s cannot lose channels: %s", c.Block, reason)
	}
	q, n := all[0], c.Channels.Len()
	zeroed, left := make([]float32, len(q.Weights)), make([]float32, 0, q.Out*n)
	for o := range q.Out {
		for i := range c.Channels.All() {
			w := q.Weights[o*q.In+i]
			zeroed[o*q.In+i] = w
			left = append(left, w)
		}
	}
	if full, err = p.Encode(q, zeroed, nil); err != nil {
		return "", nil, nil, err
	}
	narrow, err = p.Encode(&fit.Projection{Name: q.Name, In: n, Out: q.Out}, left, nil)
	return q.Name, full, narrow, err
}
