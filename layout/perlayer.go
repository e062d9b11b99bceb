package layout

import (
	"fmt"
	"slices"
	"strings"
)

// layerArrays are the keys under which llama.cpp reads an array with one element per layer, and the half that each element
// follows. Names are without the architecture, except those of xielu, which are global.
var layerArrays = map[string]half{
	"attention.compress_ratios":        mixer,
	"attention.head_count":             mixer,
	"attention.head_count_kv":          mixer,
	"attention.indexer.types":          mixer,
	"attention.recurrent_layers":       mixer,
	"attention.rope_pattern":           mixer,
	"attention.sliding_window_pattern": mixer,
	"deepstack_mapping":                neither,
	"expert_feed_forward_length":       ffn,
	"expert_used_count":                ffn,
	"feed_forward_length":              ffn,
	"swiglu_clamp_exp":                 ffn,
	"swiglu_clamp_shexp":               ffn,
	"xielu.alpha_n":                    ffn,
	"xielu.alpha_p":                    ffn,
	"xielu.beta":                       ffn,
	"xielu.eps":                        ffn,
}

// otherArrays are arrays of numbers that have nothing to do with layers, whatever their length.
var otherArrays = []string{
	"adapters.token_ids_activate", "adapters.token_ids_substitute", "ple.head_offsets", "ple.head_vocab_sizes",
	"ple.layer_multipliers", "rope.dimension_sections",
}

// express edits the metadata so that the file with these slots means what the source means, layer by layer. It returns the
// reason why that is impossible, or "".
func (m *model) express(meta *metadata, slots []slot) (reason string, err error) {
	if m.unchanged(slots) {
		return "", nil
	}
	if m.traits.join == keepAll {
		return "layers cannot be dropped: " + m.traits.why, nil
	}
	lead, newLead := m.denseLead(slots)
	for _, check := range []string{
		m.checkJoined(slots), m.checkCounted(len(slots)), m.checkFixed(slots, lead, newLead), m.checkArrays(),
		m.checkFirstHeads(slots), m.checkKinds(slots), m.checkDeepstack(slots),
	} {
		if check != "" {
			return check, nil
		}
	}
	swa, reason := m.slidingWindows(slots)
	if reason != "" {
		return reason, nil
	}
	if err := m.pickArrays(meta, slots); err != nil {
		return "", err
	}
	if swa != nil {
		if err := meta.set(m.key("attention.sliding_window_pattern"), swa); err != nil {
			return "", err
		}
	}
	if newLead != lead {
		if err := meta.set(m.key("leading_dense_block_count"), uint32(newLead)); err != nil {
			return "", err
		}
	}
	if err := m.writeDerived(meta, slots); err != nil {
		return "", err
	}
	return "", meta.set(m.key("block_count"), uint32(len(slots)+len(m.layers)-m.nLayer))
}

// checkJoined: what belongs to a layer as a whole must stay with both halves.
func (m *model) checkJoined(slots []slot) string {
	together := map[int]bool{}
	for _, s := range slots {
		if s.from[mixer] == s.from[ffn] {
			together[s.from[mixer]] = true
		}
	}
	for i := range m.nLayer {
		for _, t := range m.layers[i].tensors {
			if t.half == neither && !together[i] {
				return fmt.Sprintf("%s acts on the residual stream whatever is removed of its layer", t.Name)
			}
		}
	}
	return ""
}

// checkDeepstack: models that see add image features to the residual stream at certain layers: behind each of the first
// n_deepstack_layers, or in front of those that deepstack_mapping gives a feature, not -1.
func (m *model) checkDeepstack(slots []slot) string {
	at := map[[2]int]int{} // halves' layers -> layer of the file
	for j, s := range slots {
		at[s.from] = j
	}
	mapping, _ := m.array(m.key("deepstack_mapping"))
	first := m.intKey("n_deepstack_layers", 0)
	for i := range m.nLayer {
		j, kept := at[[2]int{i, i}]
		mapped := mapping.size > 0 && i < mapping.len() && slices.ContainsFunc(mapping.at(i), func(b byte) bool { return b != 0xff })
		if i < first && (!kept || j != i) || mapped && !kept {
			return fmt.Sprintf("image features are added to the residual stream at layer %d (deepstack)", i)
		}
	}
	return ""
}

// checkCounted: what llama.cpp derives from the number of layers must come out the same.
func (m *model) checkCounted(n int) string {
	for _, c := range m.traits.counted {
		if c.of(m, n) != c.of(m, m.nLayer) {
			return fmt.Sprintf("%d layers instead of %d would change the model (%s)", n, m.nLayer, c.what)
		}
	}
	return ""
}

// checkFixed: what llama.cpp derives from a layer's index must come out the same.
func (m *model) checkFixed(slots []slot, lead, newLead int) string {
	for _, f := range m.traits.fixed {
		for j, s := range slots {
			i := s.from[f.half]
			if i >= 0 && f.at(m, i, m.nLayer, lead) != f.at(m, j, len(slots), newLead) {
				return fmt.Sprintf("layer %d cannot become layer %d (%s)", i, j, f.what)
			}
		}
	}
	return ""
}

// checkKinds: llama.cpp aborts on a hybrid model without recurrent or without attention layers, and the like.
func (m *model) checkKinds(slots []slot) string {
	kind := m.traits.kind
	if recurrent := m.recurrentLayers(); recurrent != nil {
		kind = func(_ *model, i int) int { return toInt(recurrent[i]) }
	}
	if kind == nil {
		return ""
	}
	left := map[int]bool{}
	for _, s := range slots {
		if i := s.source(mixer); m.layers[i].has[mixer] {
			left[kind(m, i)] = true
		}
	}
	for i := range m.nLayer {
		if m.layers[i].has[mixer] && !left[kind(m, i)] {
			return fmt.Sprintf("no layer with a mixer of the kind of layer %d's would remain, without which llama.cpp aborts", i)
		}
	}
	return ""
}

// recurrentLayers says which layers of a hybrid model are recurrent, nil for any other model.
func (m *model) recurrentLayers() []bool {
	out := make([]bool, m.nLayer)
	switch {
	case m.traits.hybrid:
		for i, n := range m.spread("attention.head_count_kv") {
			out[i] = n == 0
		}
	case m.traits.recurrent:
		interval := m.intKey("full_attention_interval", 4)
		written := m.perLayer("attention.recurrent_layers")
		for i := range out {
			out[i] = interval > 0 && (i+1)%interval != 0
			if written != nil {
				out[i] = written[i] != 0
			}
		}
	default:
		return nil
	}
	return out
}

// checkArrays refuses arrays which may have one element per layer and of which nothing is known.
func (m *model) checkArrays() string {
	for _, kv := range m.src.KVs() {
		name, ok := strings.CutPrefix(kv.Key, m.arch+".")
		a, isArray := parseArray(kv)
		if !ok || !isArray || slices.Contains(otherArrays, name) {
			continue
		}
		_, known := layerArrays[name]
		switch {
		case known && a.len() < m.nLayer:
			return fmt.Sprintf("%s has %d elements for %d layers", kv.Key, a.len(), m.nLayer)
		case !known && (a.len() == m.nLayer || a.len() == len(m.layers)):
			return fmt.Sprintf("%s may have one element per layer, and this tool does not know to what each belongs", kv.Key)
		}
	}
	return ""
}

// pickArrays makes every array follow its layers.
func (m *model) pickArrays(meta *metadata, slots []slot) error {
	for name, h := range layerArrays {
		key := m.key(name)
		if strings.HasPrefix(name, "xielu.") {
			key = name
		}
		a, ok := m.array(key)
		if !ok {
			continue
		}
		var indices []int
		for _, s := range slots {
			indices = append(indices, s.source(h))
		}
		for i := m.nLayer; i < a.len(); i++ {
			indices = append(indices, i)
		}
		meta.put(a.pick(key, indices))
	}
	return nil
}

// denseLead returns leading_dense_block_count of the source and of the file. FFNs keep their order, so the dense ones stay
// in front.
func (m *model) denseLead(slots []slot) (before, after int) {
	if !m.traits.denseLead {
		return 0, 0
	}
	before = m.intKey("leading_dense_block_count", 0)
	for _, s := range slots {
		if s.from[ffn] < before {
			after++
		}
	}
	if before >= m.nLayer && after == len(slots) {
		return before, before // every layer is dense
	}
	return before, after
}

// perLayer reads an integer array with one element per layer, nil where the key holds none.
func (m *model) perLayer(name string) []uint64 {
	if a, ok := m.array(m.key(name)); !ok || a.len() < m.nLayer {
		return nil
	}
	v, _, err := m.src.Uints(m.key(name))
	if err != nil {
		return nil
	}
	return v
}

// writeDerived writes out what llama.cpp would derive otherwise: recurrent layers from their indices, MiniCPM's residual
// scale from the number of layers, and head sizes from the first layer's heads.
func (m *model) writeDerived(meta *metadata, slots []slot) error {
	if err := m.writeRecurrent(meta, slots); err != nil {
		return err
	}
	if m.arch == "minicpm" && meta.index(m.key("residual_scale")) < 0 {
		if err := meta.set(m.key("residual_scale"), minicpmResidualScale(m.nLayer)); err != nil {
			return err
		}
	}
	return m.writeHeads(meta, slots)
}

func (m *model) writeRecurrent(meta *metadata, slots []slot) error {
	const key = "attention.recurrent_layers"
	if _, isArray := m.array(m.key(key)); !m.traits.recurrent || isArray {
		return nil
	}
	recurrent := m.recurrentLayers()
	var pattern []bool
	for _, s := range slots {
		pattern = append(pattern, recurrent[s.source(mixer)])
	}
	for range len(m.layers) - m.nLayer {
		pattern = append(pattern, false)
	}
	return meta.set(m.key(key), pattern)
}

// metadata is the source's, to be edited.
func (m *model) metadata() *metadata { return &metadata{kvs: m.src.KVs()} }
