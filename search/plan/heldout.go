package plan

import (
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/perplexity"
)

// HeldOut is how the result does on text of the user's that the search has not seen. Numbers that are not finite are nil.
type HeldOut struct {
	Description  string             `json:"description"`
	TokensSHA256 string             `json:"tokens_sha256"`
	Sequences    int                `json:"sequences"`
	Tokens       int                `json:"tokens"`
	Before       *float64           `json:"ppl_before"`
	After        *float64           `json:"ppl_after"`
	Ratio        *float64           `json:"ppl_ratio"`
	SeenRatio    *float64           `json:"calibration_ppl_ratio"` // on the text that the search saw
	Gap          *float64           `json:"gap"`                   // of the ratios' logarithms, in nats
	Noise        *float64           `json:"noise"`                 // what the gap may be by chance
	Verdict      perplexity.Verdict `json:"verdict"`
}

// NewHeldOut judges a result by what it lost on the calibration and on a text that was held out.
func NewHeldOut(set *perplexity.Set, seen, held perplexity.Change) *HeldOut {
	v, gap, noise := perplexity.CarryOver(seen, held)
	return &HeldOut{
		Description: set.Describe(), TokensSHA256: set.SHA256(), Sequences: len(set.Sequences), Tokens: set.Tokens(),
		Before: jsonnum.Known(held.Before), After: jsonnum.Known(held.After), Ratio: jsonnum.Known(held.Ratio()), SeenRatio: jsonnum.Known(seen.Ratio()),
		Gap: jsonnum.Known(gap), Noise: jsonnum.Known(noise), Verdict: v,
	}
}

// SelfText says how a model was made to write its own calibration.
type SelfText struct {
	Seed        uint64  `json:"seed"`
	Temperature float64 `json:"temperature"`
	Chat        bool    `json:"chat"` // conversations in its chat template, else continuations of BOS
}
