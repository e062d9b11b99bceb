package layout

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// slot is a layer of the file that keeps the source's architecture: the layers of the source from which its mixer and its
// FFN come, by half, -1 where the source has none there.
type slot struct {
	from [2]int
	zero [2]bool // the half's weights are zeroed
}

// source is the layer that h's attributes follow, the other half's layer if there is no such half.
func (s slot) source(h arch.Half) int {
	if h == arch.Neither || s.from[h] < 0 {
		return max(s.from[arch.Mixer], s.from[arch.FFN])
	}
	return s.from[h]
}

// inPlace is the slot of a layer of the source as it stands, with zeros for what is removed of it.
func (m *model) inPlace(i int) slot {
	s := slot{from: [2]int{i, i}}
	for h := range s.from {
		s.zero[h] = m.layers[i].has[h] && !m.remains(i, arch.Half(h))
	}
	return s
}

// empty reports whether nothing is left of the layer.
func (m *model) empty(i int) bool { return !m.remains(i, arch.Mixer) && !m.remains(i, arch.FFN) }

// arrangements are the ways to store the remaining blocks in this architecture, the smallest file first: re-paired, then
// with every layer that is not empty in its order, then with all layers in their places.
func (m *model) arrangements() [][]slot {
	var all, kept []slot
	for i := range m.NLayer {
		all = append(all, m.inPlace(i))
		if !m.empty(i) {
			kept = append(kept, m.inPlace(i))
		}
	}
	if len(kept) == 0 {
		kept = all[:1] // block_count must not be 0
	}
	ways := [][]slot{kept, all}
	if m.Join == arch.AnyLayer && m.allWhole() {
		ways = append([][]slot{m.paired()}, ways...)
	}
	return ways
}

// allWhole reports whether every layer of the source has both halves.
func (m *model) allWhole() bool {
	for i := range m.NLayer {
		if !m.layers[i].whole() {
			return false
		}
	}
	return true
}

// paired re-pairs the remaining blocks. A layer that lacks a half gets that of the layer which its other half comes from,
// zeroed.
func (m *model) paired() []slot {
	var slots []slot
	for _, l := range blockmask.Pair(m.blocks, m.removed) {
		s := slot{from: [2]int{l.Mixer, l.FFN}}
		switch {
		case l.MixerOnly():
			s.from[arch.FFN], s.zero[arch.FFN] = l.Mixer, true
		case l.FFNOnly():
			s.from[arch.Mixer], s.zero[arch.Mixer] = l.FFN, true
		}
		slots = append(slots, s)
	}
	if len(slots) == 0 {
		slots = []slot{m.inPlace(0)}
	}
	return slots
}

// asLayers says where the halves come from; -1 for zeroed and absent ones.
func (m *model) asLayers(slots []slot) []blockmask.Layer {
	at := func(s slot, h arch.Half) int {
		if i := s.from[h]; i >= 0 && !s.zero[h] && m.layers[i].has[h] {
			return i
		}
		return -1
	}
	var layers []blockmask.Layer
	for _, s := range slots {
		layers = append(layers, blockmask.Layer{Mixer: at(s, arch.Mixer), FFN: at(s, arch.FFN)})
	}
	return layers
}

// unchanged reports whether the slots are the layers of the source, each in its place.
func (m *model) unchanged(slots []slot) bool {
	for j, s := range slots {
		if s.from != [2]int{j, j} {
			return false
		}
	}
	return len(slots) == m.NLayer
}

// tail are the slots of the layers behind the last one, those of a multi-token-prediction head. They are kept as they are.
func (m *model) tail() []slot {
	var slots []slot
	for i := m.NLayer; i < len(m.layers); i++ {
		slots = append(slots, slot{from: [2]int{i, i}})
	}
	return slots
}

// tensorsOf lists the tensors of the file. zero makes the plan of a tensor of a zeroed half.
func (m *model) tensorsOf(slots []slot, zero func(layerTensor) gguf.PlanTensor) []gguf.PlanTensor {
	var out []gguf.PlanTensor
	for _, t := range m.tensors {
		out = append(out, m.contents.Copy(t, t.Name))
	}
	for j, s := range append(slots, m.tail()...) {
		for i, l := range m.layers {
			for _, t := range l.tensors {
				if s.source(t.half) != i {
					continue
				}
				p := m.contents.Copy(t.Tensor, arch.TensorName(j, t.rest))
				if t.half != arch.Neither && s.zero[t.half] {
					p = zero(t)
					p.Name = arch.TensorName(j, t.rest)
				}
				out = append(out, p)
			}
		}
	}
	return out
}
