package layout

import (
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// slidingWindows returns the pattern to write out, nil where the metadata has it as an array or nothing needs one. A model
// without any sliding window left is one that llama.cpp does not load.
func (m *model) slidingWindows(slots []slot) (pattern []bool, reason string) {
	flags, derived := m.Windows()
	if flags == nil {
		return nil, ""
	}
	for _, s := range slots {
		pattern = append(pattern, flags[s.source(arch.Mixer)])
	}
	if slices.Contains(flags, true) && !slices.Contains(pattern, true) {
		return nil, "no layer with a sliding window would remain, which llama.cpp does not load"
	}
	if m.WindowSizesDiffer() && pattern[0] != flags[0] {
		return nil, "the first layer's kind of window decides on head sizes"
	}
	if !derived {
		return nil, ""
	}
	for i := m.NLayer; i < len(m.layers); i++ {
		pattern = append(pattern, flags[i])
	}
	return pattern, ""
}

// windowWarning: some runtimes do not read the array that had to be written.
func (m *model) windowWarning(meta *metadata.List) []string {
	const key = "attention.sliding_window_pattern"
	_, isArray := m.Array(m.Key(key))
	if !meta.Has(m.Key(key)) || isArray || m.SWA == nil {
		return nil
	}
	return []string{fmt.Sprintf("The pattern of sliding windows is written out in %s: llama.cpp reads it, but Ollama 0.17 and older "+
		"compute their own for gemma3 and gpt-oss; use Ollama 0.30 or newer.", m.Key(key))}
}
