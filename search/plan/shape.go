package plan

import "github.com/ggufprune/ggufprune/internal/jsonnum"

// Shape is one that was tried: fitted on a part of the text, and judged on what was held back of it.
type Shape struct {
	Name  string  `json:"name"`
	Keeps string  `json:"keeps"` // for people
	Ratio float64 `json:"params_removed_ratio"`
	Size  int64   `json:"size_bytes,omitempty"`
	// Predicted, of generation on the machine that tried it; 0: unknown.
	Speedup float64 `json:"speedup,omitempty"`
	// Part of the mixers that stay: of the KV cache, where they are attentions of one size.
	Mixers float64 `json:"mixers_left,omitempty"`
	Loss   float64 `json:"loss"` // by how much the mean NLL rose, nats
	Chosen bool    `json:"chosen,omitempty"`
}

// Kind is what a kind of text loses on what was held back of it from the fit: perplexities.
type Kind struct {
	Name      string  `json:"name"`
	Sequences int     `json:"sequences"`
	Before    float64 `json:"ppl_before"`
	After     float64 `json:"ppl_after"`
}

// checkShapes refuses numbers that no trial and no fit gives.
func checkShapes(all []Shape, kinds []Kind) bool {
	for _, k := range kinds {
		if !jsonnum.Finite(k.Before) || !jsonnum.Finite(k.After) || k.Before < leastPPL || k.After < leastPPL || k.Sequences < 0 {
			return false
		}
	}
	for _, s := range all {
		if !jsonnum.Finite(s.Speedup) || s.Speedup < 0 || !(s.Mixers >= 0 && s.Mixers <= 1) {
			return false
		}
		if !jsonnum.Finite(s.Loss) || !(s.Ratio >= 0 && s.Ratio < 1) || s.Size < 0 {
			return false
		}
	}
	return true
}
