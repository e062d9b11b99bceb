package repair

import (
	"context"
	"fmt"
	"maps"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
)

// loadCut loads the model with the weights that a file holds which lost channels, for the check. A quantised tensor that lost columns
// cannot be put back in its own type: with zeros between them its blocks hold other weights, and would be rounded otherwise. So it is in
// F16 there, with what the file's bytes decode to. changed are the other new weights.
func loadCut(ctx context.Context, s *source.Source, dir string, changed map[string][]byte, cuts []fit.Narrowed, sink progress.Sink) error {
	loaded, filed, raised := maps.Clone(changed), maps.Clone(changed), s.Types()
	types := maps.Clone(raised)
	if types == nil {
		types = map[string]gguf.Type{}
	}
	for _, n := range cuts {
		filed[n.Tensor] = n.Data
		typ := s.TypeOf(n.Tensor)
		if typ.BlockSize() == 1 {
			continue
		}
		data, err := spread16(s, n, typ)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Tensor, err)
		}
		loaded[n.Tensor], types[n.Tensor] = data, gguf.F16
	}
	if err := retype.Load(ctx, s, types, dir, "repair: a copy in which the tensors that lost columns are in F16, for the check,", sink); err != nil {
		return err
	}
	s.SetTypes(raised)
	s.SetWeights(loaded, filed)
	return nil
}

// spread16 decodes what a file has of a tensor, and encodes it in F16 with zeros for the columns that are gone.
func spread16(s *source.Source, n fit.Narrowed, typ gguf.Type) ([]byte, error) {
	t, ok := s.File.Tensor(n.Tensor)
	if !ok {
		return nil, fmt.Errorf("it is not in the file")
	}
	return spreadAs(s.Spec.Engine, n, typ, gguf.F16, int(t.Dims[0]), int(t.Dims[1]))
}

// spreadAs decodes the columns that are kept of a matrix of out rows of in, and encodes it with zeros for the others.
func spreadAs(c engine.Codec, n fit.Narrowed, from, to gguf.Type, in, out int) ([]byte, error) {
	narrow, full := make([]float32, out*n.Kept.Len()), make([]float32, out*in)
	if err := c.ToFloat(uint32(from), n.Data, narrow); err != nil {
		return nil, err
	}
	at := 0
	for o := range out {
		for i := range n.Kept.All() {
			full[o*in+i] = narrow[at]
			at++
		}
	}
	return c.FromFloat(uint32(to), full, in, nil)
}
