package layout

import (
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// buildNative keeps the architecture and stores full layers only.
func buildNative(m *model) (res *Result, reason string, err error) {
	for _, slots := range m.arrangements() {
		if missing := m.missing(slots); missing != "" {
			reason = firstOf(reason, "partial layers would remain ("+missing+" would be missing)")
			continue
		}
		meta := m.metadata()
		why, err := m.express(meta, slots)
		if err != nil {
			return nil, "", err
		}
		if why != "" {
			reason = firstOf(reason, why)
			continue
		}
		res = &Result{Layers: m.asLayers(slots)}
		res.Plan = &gguf.Plan{KVs: meta.KVs, Tensors: m.tensorsOf(slots, nil)}
		res.Warnings = m.windowWarning(meta)
		return res, "", nil
	}
	return nil, reason, nil
}

// missing lists the removed blocks that a layer of the file would lack, "" where there are none.
func (m *model) missing(slots []slot) string {
	var mask blockmask.Mask
	for _, s := range slots {
		for h, kind := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			if s.zero[h] {
				mask = mask.With(blockmask.Block{Layer: s.from[h], Kind: kind})
			}
		}
	}
	if mask.Len() == 0 {
		return ""
	}
	return mask.String()
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

// firstOf keeps the first reason.
func firstOf(have, next string) string {
	if have != "" {
		return have
	}
	return next
}
