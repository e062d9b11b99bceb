package layout

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// Sizes knows what each block of a model holds. It is the one place that does: see [Weigh].
type Sizes struct {
	units []unitSize // in the order of the blocks
	model *model
	err   error // why there is no model
}

type unitSize struct {
	block   blockmask.Block
	tensors []gguf.Tensor // matrices and biases, as the engine lists them
	params  uint64        // with the norms, as Build counts them
	counted bool          // false: no layout can do without this block, so params is unknown
}

// Weigh measures the blocks of f. It tries a layout for each, so it is worth keeping.
func Weigh(f *gguf.File, blocks []Block) *Sizes {
	m, err := newModel(Request{Source: f, Blocks: blocks, outline: true})
	s := &Sizes{model: m, err: err}
	for _, b := range blocks {
		u := unitSize{block: b.Block}
		for _, name := range b.Weights {
			if t, ok := f.Tensor(name); ok {
				u.tensors = append(u.tensors, t)
			}
		}
		if err == nil {
			u.params, u.counted = m.paramsWithout(b.Block)
		}
		s.units = append(s.units, u)
	}
	return s
}

// paramsWithout is what Build says is removed with b; ok is false if it refuses to.
func (m *model) paramsWithout(b blockmask.Block) (params uint64, ok bool) {
	m.removed = blockmask.New(b)
	res, err := m.build(Request{Source: m.File})
	if err != nil {
		return 0, false
	}
	return res.ParamsRemoved, true
}

// Of returns what the given blocks hold together. A tensor that blocks share counts once. The engine lists no norms, so a block that
// no layout can do without has the parameters of its matrices and biases.
func (s *Sizes) Of(blocks ...blockmask.Block) Weights {
	var w Weights
	chosen := blockmask.New(blocks...)
	seen := map[string]bool{}
	for _, u := range s.units {
		if !chosen.Has(u.block) {
			continue
		}
		var listed uint64
		for _, t := range u.tensors {
			if !seen[t.Name] {
				seen[t.Name] = true
				listed += t.Elements()
				w.Bytes += t.Size
			}
		}
		if u.counted {
			w.Params += u.params
		} else {
			w.Params += listed
		}
	}
	return w
}

// OfMask returns what mask removes: of the blocks of which a part stays, the rest. The error is a *RefusedError where what stays of a
// block cannot be stored.
func (s *Sizes) OfMask(mask blockmask.Mask) (Weights, error) {
	w := s.Of(mask.Blocks()...)
	if mask.WholeBlocks() == nil {
		return w, nil
	}
	if s.err != nil {
		return Weights{}, s.err
	}
	if err := mask.Check(s.model.blocks); err != nil {
		return Weights{}, err
	}
	params, bytes, err := s.model.lost(mask)
	return Weights{w.Params + params, w.Bytes + bytes}, err
}
