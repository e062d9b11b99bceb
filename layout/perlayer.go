package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// express edits the metadata so that the file with these slots means what the source means, layer by layer. It returns the
// reason why that is impossible, or "".
func (m *model) express(meta *metadata.List, slots []slot) (reason string, err error) {
	if m.unchanged(slots) {
		return "", nil
	}
	if m.Join == arch.KeepAll {
		return "layers cannot be dropped: " + m.Why, nil
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
		if err := meta.Set(m.Key("attention.sliding_window_pattern"), swa); err != nil {
			return "", err
		}
	}
	if newLead != lead {
		if err := meta.Set(m.Key("leading_dense_block_count"), uint32(newLead)); err != nil {
			return "", err
		}
	}
	if err := m.writeDerived(meta, slots); err != nil {
		return "", err
	}
	return "", meta.Set(m.Key("block_count"), uint32(len(slots)+len(m.layers)-m.NLayer))
}

// checkJoined: what belongs to a layer as a whole must stay with both halves.
func (m *model) checkJoined(slots []slot) string {
	together := map[int]bool{}
	for _, s := range slots {
		if s.from[arch.Mixer] == s.from[arch.FFN] {
			together[s.from[arch.Mixer]] = true
		}
	}
	for i := range m.NLayer {
		for _, t := range m.layers[i].tensors {
			if t.half == arch.Neither && !together[i] {
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
	mapping, _ := m.Array(m.Key("deepstack_mapping"))
	first := m.Int("n_deepstack_layers", 0)
	for i := range m.NLayer {
		j, kept := at[[2]int{i, i}]
		mapped := mapping.Size > 0 && i < mapping.Len() && slices.ContainsFunc(mapping.At(i), func(b byte) bool { return b != 0xff })
		if i < first && (!kept || j != i) || mapped && !kept {
			return fmt.Sprintf("image features are added to the residual stream at layer %d (deepstack)", i)
		}
	}
	return ""
}

// checkCounted: what llama.cpp derives from the number of layers must come out the same.
func (m *model) checkCounted(n int) string {
	for _, c := range m.Counted {
		if c.Of(m.Params, n) != c.Of(m.Params, m.NLayer) {
			return fmt.Sprintf("%d layers instead of %d would change the model (%s)", n, m.NLayer, c.What)
		}
	}
	return ""
}

// checkFixed: what llama.cpp derives from a layer's index must come out the same.
func (m *model) checkFixed(slots []slot, lead, newLead int) string {
	for _, f := range m.Fixed {
		for j, s := range slots {
			i := s.from[f.Half]
			if i >= 0 && f.At(m.Params, i, m.NLayer, lead) != f.At(m.Params, j, len(slots), newLead) {
				return fmt.Sprintf("layer %d cannot become layer %d (%s)", i, j, f.What)
			}
		}
	}
	return ""
}

// checkKinds: llama.cpp aborts on a hybrid model without recurrent or without attention layers, and the like.
func (m *model) checkKinds(slots []slot) string {
	kind := m.MixerKind
	if recurrent := m.RecurrentLayers(); recurrent != nil {
		kind = func(_ arch.Params, i int) bool { return recurrent[i] }
	}
	if kind == nil {
		return ""
	}
	left := map[bool]bool{}
	for _, s := range slots {
		if i := s.source(arch.Mixer); m.layers[i].has[arch.Mixer] {
			left[kind(m.Params, i)] = true
		}
	}
	for i := range m.NLayer {
		if m.layers[i].has[arch.Mixer] && !left[kind(m.Params, i)] {
			return fmt.Sprintf("no layer with a mixer of the kind of layer %d's would remain, without which llama.cpp aborts", i)
		}
	}
	return ""
}

// checkArrays refuses arrays which may have one element per layer and of which nothing is known.
func (m *model) checkArrays() string {
	for _, kv := range m.File.KVs() {
		name, ok := strings.CutPrefix(kv.Key, m.Arch+".")
		a, isArray := metadata.ParseArray(kv)
		if !ok || !isArray || slices.Contains(arch.OtherArrays, name) {
			continue
		}
		_, known := arch.LayerArrays[name]
		switch {
		case known && a.Len() < m.NLayer:
			return fmt.Sprintf("%s has %d elements for %d layers", kv.Key, a.Len(), m.NLayer)
		case !known && (a.Len() == m.NLayer || a.Len() == len(m.layers)):
			return fmt.Sprintf("%s may have one element per layer, and this tool does not know to what each belongs", kv.Key)
		}
	}
	return ""
}

// pickArrays makes every array follow its layers.
func (m *model) pickArrays(meta *metadata.List, slots []slot) error {
	for name, h := range arch.LayerArrays {
		key := m.ArrayKey(name)
		a, ok := m.Array(key)
		if !ok {
			continue
		}
		var indices []int
		for _, s := range slots {
			indices = append(indices, s.source(h))
		}
		for i := m.NLayer; i < a.Len(); i++ {
			indices = append(indices, i)
		}
		meta.Put(a.Pick(key, indices))
	}
	return nil
}

// denseLead returns leading_dense_block_count of the source and of the file. FFNs keep their order, so the dense ones stay
// in front.
func (m *model) denseLead(slots []slot) (before, after int) {
	if !m.DenseLead {
		return 0, 0
	}
	before = m.Int("leading_dense_block_count", 0)
	for _, s := range slots {
		if s.from[arch.FFN] < before {
			after++
		}
	}
	if before >= m.NLayer && after == len(slots) {
		return before, before // every layer is dense
	}
	return before, after
}

// writeDerived writes out what llama.cpp would derive otherwise: recurrent layers from their indices, a
// residual scale from the number of layers, and head sizes from the first layer's heads.
func (m *model) writeDerived(meta *metadata.List, slots []slot) error {
	if err := m.writeRecurrent(meta, slots); err != nil {
		return err
	}
	if m.ResidualScale != nil && !meta.Has(m.Key("residual_scale")) {
		if err := meta.Set(m.Key("residual_scale"), m.ResidualScale(m.NLayer)); err != nil {
			return err
		}
	}
	return m.writeHeads(meta, slots)
}

func (m *model) writeRecurrent(meta *metadata.List, slots []slot) error {
	const key = "attention.recurrent_layers"
	if _, isArray := m.Array(m.Key(key)); !m.Recurrent || isArray {
		return nil
	}
	recurrent := m.RecurrentLayers()
	var pattern []bool
	for _, s := range slots {
		pattern = append(pattern, recurrent[s.source(arch.Mixer)])
	}
	for range len(m.layers) - m.NLayer {
		pattern = append(pattern, false)
	}
	return meta.Set(m.Key(key), pattern)
}

// width is the number of channels of layer i's FFN in the file, where it has one.
func (m *model) width(i int) int {
	if c, ok := m.removed.Cut(blockmask.Block{Layer: i, Kind: blockmask.FFN}); ok && !c.Channels.Empty() {
		return c.Channels.Len()
	}
	return m.Widths()[i]
}

// writeWidths makes the metadata say how wide the FFNs of these layers are: one number, or an array where the source has one or
// the widths differ. It returns the reason if the architecture has no form for that, else "".
func (m *model) writeWidths(meta *metadata.List, slots []slot) (reason string, err error) {
	if len(m.removed.Parts()) == 0 {
		return "", nil
	}
	all, found := append(slices.Clone(slots), m.tail()...), []int(nil)
	widths := make([]int, len(all))
	for j, s := range all {
		i := s.source(arch.FFN)
		widths[j] = m.width(i)
		if m.hasChannels(i) {
			found = append(found, widths[j])
		}
	}
	for _, list := range [][]int{widths, found} {
		for j := range list {
			list[j] *= m.PerChannel()
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	key := m.Key("feed_forward_length")
	kv, _ := meta.Get(key)
	a, isArray := metadata.ParseArray(kv)
	switch perLayer := m.WidthPerLayer(); {
	case len(found) == 0:
		return "", nil
	case len(found) > 1 && !perLayer:
		return fmt.Sprintf("its FFNs would have from %d to %d channels%s, and llama.cpp reads one width for all layers of this architecture",
			found[0]/m.PerChannel(), found[len(found)-1]/m.PerChannel(), m.headKeeps()), nil
	case isArray && a.Len() != len(all):
		return fmt.Sprintf("%s has %d elements for %d layers", key, a.Len(), len(all)), nil
	case isArray:
		if !perLayer { // the first one counts, whether its layer has an FFN or not
			widths = slices.Repeat(found, len(all))
		}
		return "", putWidths(meta, a.Elem, key, widths)
	case len(found) == 1:
		return "", meta.Set(key, uint32(found[0]))
	}
	return "", putWidths(meta, gguf.ValueUint32, key, widths)
}

// headKeeps says which FFNs always keep all of their channels.
func (m *model) headKeeps() string {
	for i := m.NLayer; i < len(m.layers); i++ {
		if m.hasChannels(i) {
			return " (those of the multi-token-prediction head, which nothing is fitted to, keep all)"
		}
	}
	return ""
}

// putWidths writes an array of elements of type elem.
func putWidths(meta *metadata.List, elem gguf.ValueType, key string, widths []int) error {
	signed, unsigned := make([]int32, len(widths)), make([]uint32, len(widths))
	for j, w := range widths {
		signed[j], unsigned[j] = int32(w), uint32(w)
	}
	switch elem {
	case gguf.ValueInt32:
		return meta.Set(key, signed)
	case gguf.ValueUint32:
		return meta.Set(key, unsigned)
	}
	return fmt.Errorf("%s is an array of %s; llama.cpp reads int32 and uint32", key, elem)
}

// hasChannels reports whether layer i of the source has an FFN whose width is in the metadata.
func (m *model) hasChannels(i int) bool {
	return slices.ContainsFunc(m.layers[i].tensors, func(t layerTensor) bool {
		side := arch.SideOf(t.rest)
		return side == arch.Rows || side == arch.Columns
	})
}
