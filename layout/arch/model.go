package arch

import (
	"slices"

	"github.com/ggufprune/ggufprune/gguf"
)

// Model is what is known of a model before its tensors are looked at.
type Model struct {
	Params
	Traits
}

// Of looks up the architecture of f.
func Of(f *gguf.File) (Model, error) {
	p, err := readParams(f)
	if err != nil {
		return Model{}, err
	}
	return Model{p, traitsOf(p)}, nil
}

// Windows says for each layer of the source whether it has a sliding window; nil where the model has none. derived is
// false where the metadata has the pattern as an array.
func (m Model) Windows() (flags []bool, derived bool) {
	const key = "attention.sliding_window_pattern"
	n, found, _ := m.File.Uint(m.Key("attention.sliding_window"))
	rule := m.SWA
	if rule != nil && !rule.window(m.Params, n, found) {
		return nil, false
	}
	flags = make([]bool, m.BlockCount)
	if a, ok := m.Array(m.Key(key)); ok {
		for i := range min(len(flags), a.Len()) {
			flags[i] = slices.ContainsFunc(a.At(i), func(b byte) bool { return b != 0 })
		}
		return flags, false
	}
	if rule == nil {
		return nil, false
	}
	period := m.Int(key, rule.period)
	for i := range m.NLayer {
		flags[i] = rule.at(i, period)
	}
	return flags, true
}

// WindowSizesDiffer reports whether layers with a sliding window have other head sizes.
func (m Model) WindowSizesDiffer() bool {
	for _, name := range []string{
		"attention.key_length", "attention.value_length", "rope.dimension_count", "attention.key_length_mla",
		"attention.value_length_mla", "attention.kv_lora_rank",
	} {
		if swa := m.Int(name+"_swa", 0); swa != 0 && swa != m.Int(name, 0) {
			return true
		}
	}
	return false
}

// RecurrentLayers says which layers of a hybrid model are recurrent, nil for any other model.
func (m Model) RecurrentLayers() []bool {
	out := make([]bool, m.NLayer)
	switch {
	case m.Hybrid:
		for i, n := range m.Spread("attention.head_count_kv") {
			out[i] = n == 0
		}
	case m.Recurrent:
		interval := m.Int("full_attention_interval", 4)
		written := m.PerLayer("attention.recurrent_layers")
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
