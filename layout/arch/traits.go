package arch

// Joining says which halves may share a layer of the file.
type Joining uint8

const (
	KeepAll   Joining = iota // nothing is known: every layer stays in its place
	SameLayer                // both halves of a layer of the file come from one layer of the source
	AnyLayer                 // a mixer and an FFN of different layers may be joined
)

// Traits is what is known of an architecture.
type Traits struct {
	Join Joining
	Why  string // why Join is KeepAll

	// SWA is the sliding-window pattern that the loader derives where the metadata has no array of it.
	SWA *SWARule
	// Recurrent: attention.recurrent_layers is derived from full_attention_interval where it is absent.
	Recurrent bool
	// DenseLead: the first leading_dense_block_count layers have a dense FFN, the others a mixture of experts.
	DenseLead bool
	// PostNormIsFFN: post_attention_norm is the norm in front of the FFN, not one behind the attention.
	PostNormIsFFN bool
	// OutNormIsFFN: the same for attn_output_norm.
	OutNormIsFFN bool
	// Fixed are properties that no metadata can express: each kept half must have the same value at its new index.
	Fixed []FixedRule
	// Counted are properties that the loader derives from the number of layers.
	Counted []CountRule
	// KeepOthers: other layers reuse what a block computes inside (keys and values, a router's choice), so that zeros may
	// zero its output projection only.
	KeepOthers bool
	// Hybrid: layers without key-value heads are recurrent, whatever their number of heads.
	Hybrid bool
	// MixerKind tells two sorts of mixers apart, of which llama.cpp aborts unless at least one layer of each remains.
	MixerKind func(p Params, i int) bool
	// ResidualScale is residual_scale where the metadata has none, by the number of layers; nil: it does not depend on that.
	ResidualScale func(nLayer int) float32
	// NoChannels is why FFNs cannot lose channels, whatever their tensors look like; "" where nothing is against it.
	NoChannels string
	// Deci is how the architecture differs from deci; nil: deci cannot stand for it.
	Deci *Deci
	// refine adjusts the traits to one model.
	refine func(p Params, t *Traits)
}

// SWARule is llama.cpp's set_swa_pattern: layer i has a sliding window unless i is the last one, or with first the first
// one, of its period.
type SWARule struct {
	period int
	first  bool
	// window says whether the model has sliding windows at all, given attention.sliding_window (found = false where absent).
	window func(p Params, n uint64, found bool) bool
}

func (s SWARule) at(i, period int) bool {
	switch {
	case period == 0:
		return true
	case s.first:
		return i%period != 0
	default:
		return i%period < period-1
	}
}

// FixedRule is a property of a half that llama.cpp derives from the layer's index and cannot be told otherwise.
type FixedRule struct {
	What string // in words
	Half Half
	At   func(p Params, i, nLayer, denseLead int) bool
}

// CountRule is a property of a model that llama.cpp derives from the number of layers.
type CountRule struct {
	What string // in words
	Of   func(p Params, nLayer int) int
}
