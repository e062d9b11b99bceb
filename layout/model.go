package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// half is a half of a layer.
type half uint8

const (
	mixer half = iota
	ffn
	neither // a tensor or attribute of the layer as a whole
)

func halfOf(k blockmask.Kind) half {
	if k == blockmask.FFN {
		return ffn
	}
	return mixer
}

// layerTensor is a tensor blk.N.rest.
type layerTensor struct {
	gguf.Tensor
	rest string // what follows "blk.N."
	half half
}

// layer is a layer of the source.
type layer struct {
	has     [2]bool // which halves are blocks of the model, by half
	tensors []layerTensor
}

// whole reports whether nothing of the layer was missing in the source.
func (l layer) whole() bool { return l.has[mixer] && l.has[ffn] }

// model is the source, taken apart.
type model struct {
	src     *gguf.File
	arch    string
	traits  traits
	blocks  []blockmask.Block
	removed blockmask.Mask
	changed map[string][]byte
	types   map[string]gguf.Type // of changed
	layers  []layer              // block_count of them: nLayer, then those of a multi-token-prediction head
	nLayer  int
	tensors []gguf.Tensor // those of no layer
}

// newModel takes the request apart and checks that it is sound.
func newModel(r Request) (*model, error) {
	m := &model{src: r.Source, arch: r.Source.Arch(), removed: r.Removed, changed: r.Changed, types: r.Types}
	if err := m.checkChanged(); err != nil {
		return nil, err
	}
	if m.arch == "" {
		return nil, fmt.Errorf("the model has no general.architecture")
	}
	count, err := m.blockCount()
	if err != nil {
		return nil, err
	}
	m.layers = make([]layer, count)
	for _, b := range r.Blocks {
		if b.Layer < 0 || b.Layer >= m.nLayer {
			return nil, fmt.Errorf("block %s is outside the model's %d layers", b.Block, m.nLayer)
		}
		m.blocks = append(m.blocks, b.Block)
		m.layers[b.Layer].has[halfOf(b.Kind)] = true
	}
	if len(m.blocks) == 0 {
		return nil, fmt.Errorf("the model has no blocks that can be removed")
	}
	if err := r.Removed.Check(m.blocks); err != nil {
		return nil, err
	}
	m.traits = traitsOf(m)
	return m, m.sortTensors(r.Blocks)
}

// blockCount reads block_count and sets nLayer, which leaves out the layers of a multi-token-prediction head.
func (m *model) blockCount() (int, error) {
	const most = 512 // LLAMA_MAX_LAYERS
	n, found, err := m.src.Uint(m.key("block_count"))
	if err != nil {
		return 0, err
	}
	if !found || n == 0 || n > most {
		return 0, fmt.Errorf("the model's %s is %d; 1 to %d layers are possible", m.key("block_count"), n, most)
	}
	nextn, _, err := m.src.Uint(m.key("nextn_predict_layers"))
	if err != nil {
		return 0, err
	}
	if nextn >= n {
		return 0, fmt.Errorf("the model's %s is %d of %d layers", m.key("nextn_predict_layers"), nextn, n)
	}
	m.nLayer = int(n - nextn)
	return int(n), nil
}

// sortTensors assigns every tensor to its layer and half.
func (m *model) sortTensors(blocks []Block) error {
	owner := map[string]half{}
	for _, b := range blocks {
		for _, name := range b.Weights {
			if l, _, ok := splitName(name); ok && l == b.Layer {
				owner[name] = halfOf(b.Kind)
			}
		}
	}
	for _, t := range m.src.Tensors() {
		i, rest, ok := splitName(t.Name)
		if !ok {
			m.tensors = append(m.tensors, t)
			continue
		}
		if i >= len(m.layers) {
			return fmt.Errorf("tensor %s is outside the model's %d layers", t.Name, len(m.layers))
		}
		h, ok := owner[t.Name]
		if !ok {
			h = m.traits.halfByName(rest)
		}
		l := &m.layers[i]
		l.tensors = append(l.tensors, layerTensor{t, rest, l.ownerOf(h, rest)})
	}
	return nil
}

// ownerOf corrects the half that a tensor's name says where the layer has no such block: the norm of a layer that is but an
// FFN may be called attn_norm; anything else is part of something that cannot be removed.
func (l layer) ownerOf(h half, rest string) half {
	switch {
	case h == neither || l.has[h] || !l.has[mixer] && !l.has[ffn]:
		return h
	case strings.Contains(rest, "norm"):
		return 1 - h
	}
	return neither
}

// splitName splits "blk.12.attn_q.weight" into 12 and "attn_q.weight".
func splitName(name string) (layer int, rest string, ok bool) {
	s, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(s, ".")
	layer, err := strconv.Atoi(number)
	return layer, rest, ok && err == nil && layer >= 0
}

func tensorName(layer int, rest string) string { return fmt.Sprintf("blk.%d.%s", layer, rest) }

// mixerPrefixes and ffnPrefixes are those of llama.cpp's tensor names.
var (
	mixerPrefixes = []string{"attn_", "post_attention_norm", "ssm_", "shortconv.", "time_mix_", "indexer", "vis_attn_", "cross_attn_"}
	ffnPrefixes   = []string{
		"ffn_", "ffn.", "post_ffw_norm", "pre_ffw_norm", "exp_probs_b", "channel_mix_", "vis_gate", "vis_up", "vis_down",
		"layer_output_norm",
	}
)

// halfByName tells by a tensor's name to which half it belongs.
func (t traits) halfByName(rest string) half {
	base, _, _ := strings.Cut(rest, ".")
	switch {
	case base == "post_attention_norm" && t.postNormIsFFN, base == "attn_output_norm" && t.outNormIsFFN:
		return ffn
	case hasPrefix(rest, mixerPrefixes):
		return mixer
	case hasPrefix(rest, ffnPrefixes):
		return ffn
	}
	return neither
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// key is the metadata key of that name in the architecture's own namespace.
func (m *model) key(name string) string { return m.arch + "." + name }

// intKey reads an integer key of the architecture, or fallback where it is absent or of another type.
func (m *model) intKey(name string, fallback int) int {
	v, found, err := m.src.Uint(m.key(name))
	if err != nil || !found {
		return fallback
	}
	return int(v)
}

// array reads an array of numbers or bools.
func (m *model) array(key string) (rawArray, bool) {
	kv, ok := m.src.KV(key)
	if !ok {
		return rawArray{}, false
	}
	return parseArray(kv)
}

// remains reports whether the layer has that half and it is not removed.
func (m *model) remains(i int, h half) bool {
	kind := blockmask.Mixer
	if h == ffn {
		kind = blockmask.FFN
	}
	return m.layers[i].has[h] && !m.removed.Has(blockmask.Block{Layer: i, Kind: kind})
}

// paramsOf counts the weights of the blocks in mask.
func (m *model) paramsOf(mask blockmask.Mask) uint64 {
	n := uint64(0)
	for _, b := range mask.Blocks() {
		for _, t := range m.layers[b.Layer].tensors {
			if t.half == halfOf(b.Kind) {
				n += t.Elements()
			}
		}
	}
	return n
}

// checkChanged makes sure that changed tensors exist and have the size of their type. A layout may move the rows of other tensors, but
// copies output projections as they are.
func (m *model) checkChanged() error {
	for name, data := range m.changed {
		t, ok := m.src.Tensor(name)
		if !ok || int64(len(data)) != sizeAs(t, m.typeOf(t)) || !IsOutput(name, blockmask.Mixer) && !IsOutput(name, blockmask.FFN) {
			return fmt.Errorf("%s cannot be changed: it is no output projection of this size", name)
		}
	}
	for name := range m.types {
		if m.changed[name] == nil {
			return fmt.Errorf("%s cannot have another type: it is not changed", name)
		}
	}
	return nil
}

// typeOf is the type that a tensor is written in.
func (m *model) typeOf(t gguf.Tensor) gguf.Type {
	if typ, ok := m.types[t.Name]; ok {
		return typ
	}
	return t.Type
}

// sizeAs is what t takes as typ, -1 where its rows are no whole number of the type's blocks.
func sizeAs(t gguf.Tensor, typ gguf.Type) int64 {
	if !typ.Known() || t.Dims[0]%typ.BlockSize() != 0 {
		return -1
	}
	return typ.RowBytes(t.Dims[0]) * t.Rows()
}
