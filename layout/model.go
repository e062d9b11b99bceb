package layout

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
	"github.com/ggufprune/ggufprune/layout/tensors"
)

// layerTensor is a tensor blk.N.rest.
type layerTensor struct {
	gguf.Tensor
	rest string // what follows "blk.N."
	half arch.Half
}

// layer is a layer of the source.
type layer struct {
	has     [2]bool // which halves are blocks of the model, by half
	tensors []layerTensor
}

// whole reports whether nothing of the layer was missing in the source.
func (l layer) whole() bool { return l.has[arch.Mixer] && l.has[arch.FFN] }

// model is the source, taken apart.
type model struct {
	arch.Model
	contents tensors.Source
	blocks   []blockmask.Block
	removed  blockmask.Mask
	layers   []layer       // BlockCount of them: NLayer, then those of a multi-token-prediction head
	tensors  []gguf.Tensor // those of no layer
}

// newModel takes the request apart and checks that it is sound but for the contents of Changed.
func newModel(r Request) (*model, error) {
	m := &model{removed: r.Removed}
	m.contents = tensors.Source{File: r.Source, Changed: r.Changed, Types: r.Types, Outline: r.outline}
	var err error
	if m.Model, err = arch.Of(r.Source); err != nil {
		return nil, err
	}
	m.layers = make([]layer, m.BlockCount)
	for _, b := range r.Blocks {
		if b.Layer < 0 || b.Layer >= m.NLayer {
			return nil, fmt.Errorf("block %s is outside the model's %d layers", b.Block, m.NLayer)
		}
		m.blocks = append(m.blocks, b.Block)
		m.layers[b.Layer].has[arch.HalfOf(b.Kind)] = true
	}
	if len(m.blocks) == 0 {
		return nil, fmt.Errorf("the model has no blocks that can be removed")
	}
	if err := r.Removed.Check(m.blocks); err != nil {
		return nil, err
	}
	return m, m.sortTensors(r.Blocks)
}

// sortTensors assigns every tensor to its layer and half.
func (m *model) sortTensors(blocks []Block) error {
	owner := map[string]arch.Half{}
	for _, b := range blocks {
		for _, name := range b.Weights {
			if l, _, ok := arch.SplitName(name); ok && l == b.Layer {
				owner[name] = arch.HalfOf(b.Kind)
			}
		}
	}
	for _, t := range m.File.Tensors() {
		i, rest, ok := arch.SplitName(t.Name)
		if !ok {
			m.tensors = append(m.tensors, t)
			continue
		}
		if i >= len(m.layers) {
			return fmt.Errorf("tensor %s is outside the model's %d layers", t.Name, len(m.layers))
		}
		h, ok := owner[t.Name]
		if !ok {
			h = m.HalfByName(rest)
		}
		l := &m.layers[i]
		l.tensors = append(l.tensors, layerTensor{t, rest, l.ownerOf(h, rest)})
	}
	return nil
}

// ownerOf corrects the half that a tensor's name says where the layer has no such block: the norm of a layer that is but an
// FFN may be called attn_norm; anything else is part of something that cannot be removed.
func (l layer) ownerOf(h arch.Half, rest string) arch.Half {
	switch {
	case h == arch.Neither || l.has[h] || !l.has[arch.Mixer] && !l.has[arch.FFN]:
		return h
	case strings.Contains(rest, "norm"):
		return 1 - h
	}
	return arch.Neither
}

// Weights counts what is stored of some blocks.
type Weights struct {
	Params uint64 // norms included
	Bytes  int64  // of matrices and biases
}

// metadata is the source's, to be edited.
func (m *model) metadata() *metadata.List { return &metadata.List{KVs: m.File.KVs()} }

// remains reports whether the layer has that half and it is not removed.
func (m *model) remains(i int, h arch.Half) bool {
	return m.layers[i].has[h] && !m.removed.Has(blockmask.Block{Layer: i, Kind: h.Kind()})
}

// paramsOf counts the weights of the blocks that are gone in mask.
func (m *model) paramsOf(mask blockmask.Mask) uint64 {
	n := uint64(0)
	for _, b := range mask.Blocks() {
		for _, t := range m.layers[b.Layer].tensors {
			if t.half == arch.HalfOf(b.Kind) {
				n += t.Elements()
			}
		}
	}
	return n
}

// checkChanged makes sure that changed tensors exist and have the size of their type, those of a cut FFN at its new width. A layout may
// move the rows of other tensors, but copies output projections as they are.
func (m *model) checkChanged() error {
	for name := range m.contents.Changed {
		if !m.contents.Fits(name) || !arch.IsOutput(name, blockmask.Mixer) && !arch.IsOutput(name, blockmask.FFN) {
			return fmt.Errorf("%s cannot be changed: it is no output projection of this size", name)
		}
	}
	for name := range m.contents.Types {
		if m.contents.Changed[name] == nil && !m.contents.Outline {
			return fmt.Errorf("%s cannot have another type: it is not changed", name)
		}
	}
	return nil
}
