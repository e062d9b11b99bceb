package repair

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// Projections are the output projections of a file's blocks. It implements fit.Weights.
type Projections struct {
	codec  engine.Codec
	file   *gguf.File
	blocks map[blockmask.Block][]string
	users  map[string]int       // blocks that use a tensor
	types  map[string]gguf.Type // of tensors that the loaded model has in another type than the file
	twin   retype.Twin          // what the loaded model is computed in; nil: the file's types
}

// NewProjections returns the output projections of the blocks of f, in the types that f has them in.
func NewProjections(c engine.Codec, f *gguf.File, blocks []layout.Block) Projections {
	p := Projections{codec: c, file: f, blocks: map[blockmask.Block][]string{}, users: map[string]int{}}
	for _, b := range blocks {
		p.blocks[b.Block] = b.Weights
		for _, name := range b.Weights {
			p.users[name]++
		}
	}
	return p
}

// On are the same projections where the loaded model is a copy.
func (p Projections) On(t retype.Twin) Projections {
	p.twin = t
	return p
}

// find returns the output projections of a block. reason says why they cannot be repaired.
func (p Projections) find(b blockmask.Block) (all []gguf.Tensor, reason string) {
	for _, name := range p.blocks[b] {
		if !arch.IsOutput(name, b.Kind) || !strings.HasSuffix(name, ".weight") {
			continue
		}
		t, ok := p.file.Tensor(name)
		switch {
		case !ok:
			return nil, "its output projection is not in the file"
		case p.users[name] > 1:
			return nil, "other blocks share its output projection"
		case len(t.Dims) < 2 || len(t.Dims) > 3:
			return nil, "its output projection is no matrix"
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return nil, "it has no output projection"
	}
	return all, ""
}

// typeOf is the type that the loaded model has a tensor in.
func (p Projections) typeOf(t gguf.Tensor) gguf.Type {
	if typ, ok := p.types[t.Name]; ok {
		return typ
	}
	return t.Type
}

// Projections implements fit.Weights.
func (p Projections) Projections(b blockmask.Block) (all []*fit.Projection, reason string, err error) {
	tensors, reason := p.find(b)
	for _, t := range tensors {
		q, err := p.projection(b, t)
		if err != nil {
			return nil, "", err
		}
		all = append(all, q)
	}
	return all, reason, nil
}

// projection reads one of them.
func (p Projections) projection(of blockmask.Block, t gguf.Tensor) (*fit.Projection, error) {
	out := &fit.Projection{Name: t.Name, In: int(t.Dims[0]), Out: int(t.Dims[1])}
	if len(t.Dims) == 3 {
		out.Experts = int(t.Dims[2])
	}
	var err error
	if out.Data, out.Weights, err = retype.Encode(p.codec, p.file, t, p.typeOf(t)); err != nil {
		return nil, err
	}
	bias := strings.TrimSuffix(t.Name, ".weight") + ".bias"
	// A bias that the graph does not add, as Refact's, is no bias.
	if b, ok := p.file.Tensor(bias); ok && slices.Contains(p.blocks[of], bias) {
		if _, out.Bias, err = retype.Read(p.codec, p.file, b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Encode implements fit.Weights.
func (p Projections) Encode(q *fit.Projection, weights, importance []float32) ([]byte, error) {
	t, ok := p.file.Tensor(q.Name)
	if !ok {
		return nil, fmt.Errorf("%s is not in the file", q.Name)
	}
	if !slices.ContainsFunc(importance, func(x float32) bool { return x > 0 }) {
		importance = nil
	}
	return p.codec.FromFloat(uint32(p.typeOf(t)), weights, q.In, importance)
}

// Decode implements fit.Weights.
func (p Projections) Decode(q *fit.Projection, data []byte) ([]float32, error) {
	t, ok := p.file.Tensor(q.Name)
	if !ok {
		return nil, fmt.Errorf("%s is not in the file", q.Name)
	}
	out := make([]float32, q.In*q.Out*max(1, q.Experts))
	return out, p.codec.ToFloat(uint32(p.typeOf(t)), data, out)
}

// Grain implements fit.Weights.
func (p Projections) Grain(q *fit.Projection) int {
	t, ok := p.file.Tensor(q.Name)
	if !ok {
		return 1
	}
	return max(1, int(p.typeOf(t).BlockSize()))
}

// Spread implements fit.Weights. Where the fit is computed on a copy in F16, that holds what the file's bytes mean. The blocks of a
// quantised type do not: with zeros among them they are rounded otherwise.
func (p Projections) Spread(q *fit.Projection, n fit.Narrowed) ([]byte, error) {
	to, ok := p.twin[q.Name]
	if !ok || to.BlockSize() > 1 {
		return nil, nil
	}
	t, ok := p.file.Tensor(q.Name)
	if !ok {
		return nil, fmt.Errorf("%s is not in the file", q.Name)
	}
	return spreadAs(p.codec, n, p.typeOf(t), to, q.In, q.Out)
}
