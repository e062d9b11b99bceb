package blockmask

// Layer is one layer of a pruned model: where its two halves come from. Mixer and FFN are layer indices of the original
// model; -1 means that the half is absent. At least one is present.
type Layer struct {
	Mixer, FFN int
}

// Full reports whether both halves are present.
func (l Layer) Full() bool { return l.Mixer >= 0 && l.FFN >= 0 }

// MixerOnly reports whether the layer has no FFN.
func (l Layer) MixerOnly() bool { return l.Mixer >= 0 && l.FFN < 0 }

// FFNOnly reports whether the layer has no mixer.
func (l Layer) FFNOnly() bool { return l.Mixer < 0 && l.FFN >= 0 }

// Pair re-pairs what removed leaves of blocks (all blocks of the model, in order) into layers: a mixer directly followed
// by an FFN is a full layer, whatever layers they come from; every other block is a layer of its own. The order of the
// blocks, and so the function that the model computes, stays as it was.
//
// Models with layers that lack one half by design (such as a state-space layer without FFN) pair by the same rule, which
// would join a lone mixer with a later layer's lone FFN; see layout for what an architecture can store.
func Pair(blocks []Block, removed Mask) []Layer {
	var layers []Layer
	for _, b := range blocks {
		if removed.Has(b) {
			continue
		}
		last := len(layers) - 1
		switch {
		case b.Kind == Mixer:
			layers = append(layers, Layer{Mixer: b.Layer, FFN: -1})
		case last >= 0 && layers[last].MixerOnly():
			layers[last].FFN = b.Layer
		default:
			layers = append(layers, Layer{Mixer: -1, FFN: b.Layer})
		}
	}
	return layers
}
