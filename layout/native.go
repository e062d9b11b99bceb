package layout

import (
	"cmp"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// buildNative keeps the architecture and stores full layers only. The first reason counts: it is that of the smallest file.
func buildNative(m *model) (res *Result, reason string, err error) {
	for _, slots := range m.arrangements() {
		if missing := m.missing(slots); missing != "" {
			reason = cmp.Or(reason, "partial layers would remain ("+missing+" would be missing)")
			continue
		}
		meta := m.metadata()
		why, err := m.express(meta, slots)
		if err == nil && why == "" {
			why, err = m.writeWidths(meta, slots)
		}
		if err != nil {
			return nil, "", err
		}
		if why != "" {
			reason = cmp.Or(reason, why)
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
		for h, zero := range s.zero {
			if zero {
				mask = mask.With(blockmask.Block{Layer: s.from[h], Kind: arch.Half(h).Kind()})
			}
		}
	}
	if mask.Len() == 0 {
		return ""
	}
	return mask.String()
}
