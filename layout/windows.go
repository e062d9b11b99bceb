package layout

import "slices"

// slidingWindows returns the pattern to write out, nil where the metadata has it as an array or nothing needs one. A model
// without any sliding window left is one that llama.cpp does not load.
func (m *model) slidingWindows(slots []slot) (pattern []bool, reason string) {
	flags, derived := m.windowFlags()
	if flags == nil {
		return nil, ""
	}
	for _, s := range slots {
		pattern = append(pattern, flags[s.source(mixer)])
	}
	if slices.Contains(flags, true) && !slices.Contains(pattern, true) {
		return nil, "no layer with a sliding window would remain, which llama.cpp does not load"
	}
	if m.windowSizesDiffer() && pattern[0] != flags[0] {
		return nil, "the first layer's kind of window decides on head sizes"
	}
	if !derived {
		return nil, ""
	}
	for i := m.nLayer; i < len(m.layers); i++ {
		pattern = append(pattern, flags[i])
	}
	return pattern, ""
}

// windowFlags says for each layer of the source whether it has a sliding window; nil where the model has none. derived is
// false where the metadata has the pattern as an array.
func (m *model) windowFlags() (flags []bool, derived bool) {
	const key = "attention.sliding_window_pattern"
	n, found, _ := m.src.Uint(m.key("attention.sliding_window"))
	rule := m.traits.swa
	if rule != nil && !rule.window(m, n, found) {
		return nil, false
	}
	flags = make([]bool, len(m.layers))
	if a, ok := m.array(m.key(key)); ok {
		for i := range min(len(flags), a.len()) {
			flags[i] = slices.ContainsFunc(a.at(i), func(b byte) bool { return b != 0 })
		}
		return flags, false
	}
	if rule == nil {
		return nil, false
	}
	period := m.intKey(key, rule.period)
	for i := range m.nLayer {
		flags[i] = rule.at(i, period)
	}
	return flags, true
}

// windowSizesDiffer reports whether layers with a sliding window have other head sizes.
func (m *model) windowSizesDiffer() bool {
	for _, name := range []string{
		"attention.key_length", "attention.value_length", "rope.dimension_count", "attention.key_length_mla",
		"attention.value_length_mla", "attention.kv_lora_rank",
	} {
		if swa := m.intKey(name+"_swa", 0); swa != 0 && swa != m.intKey(name, 0) {
			return true
		}
	}
	return false
}
