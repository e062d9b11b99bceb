package render

import (
	"math"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// printRepair prints what a repair did.
func printRepair(u *ui.UI, o *prune.Outcome) {
	r := o.Repair
	if r == nil {
		return
	}
	if r.Undone {
		u.Resultf("repair  none: it would not have helped on text held back from it")
		return
	}
	if len(r.Narrowed) > 0 { // what it came to is in the summary
		u.Resultf("fit     %d of %d blocks re-fitted on %d tokens", len(r.Weights), len(r.Blocks), r.Positions)
	} else {
		u.Resultf("repair  %d of %d blocks re-fitted on %d tokens; PPL on text held back from the fit %.4f, was %.4f", len(r.Weights), len(r.Blocks),
			r.Positions, math.Exp(r.NLLAfter), math.Exp(r.NLLBefore))
	}
	var reasons []string
	skipped := map[string]int{}
	for _, b := range r.Blocks {
		if b.Skipped != "" && skipped[b.Skipped] == 0 {
			reasons = append(reasons, b.Skipped)
		}
		skipped[b.Skipped]++
	}
	for _, reason := range reasons {
		u.Resultf("        %d left alone: %s", skipped[reason], reason)
	}
	count := map[gguf.Type]int{}
	for _, t := range o.Raised {
		count[t]++
	}
	for _, t := range repair.Types {
		if count[t] > 0 {
			u.Resultf("        %d tensors raised to %s", count[t], t)
		}
	}
}

// repairJSON is the repair of a result.
type repairJSON struct {
	Method    string            `json:"method"`
	Positions int               `json:"positions"`
	PPLBefore *float64          `json:"ppl_before"`
	PPLAfter  *float64          `json:"ppl_after"`
	Undone    bool              `json:"undone"`
	Blocks    []repairBlockJSON `json:"blocks"`
}

// repairBlockJSON is what a repair did to a block.
type repairBlockJSON struct {
	Block   string        `json:"block"`
	Tensor  string        `json:"tensor,omitempty"`
	Type    string        `json:"type,omitempty"`
	Method  string        `json:"method,omitempty"`
	Lambda  float64       `json:"lambda,omitempty"`
	Before  jsonnum.Float `json:"mse_before,omitempty"` // null where it is not finite
	After   jsonnum.Float `json:"mse_after,omitempty"`
	Skipped string        `json:"skipped,omitempty"`
}

func newRepairJSON(o *prune.Outcome) *repairJSON {
	r := o.Repair
	if r == nil {
		return nil
	}
	out := &repairJSON{Positions: r.Positions, PPLBefore: jsonnum.Known(math.Exp(r.NLLBefore)), PPLAfter: jsonnum.Known(math.Exp(r.NLLAfter)), Undone: r.Undone, Blocks: []repairBlockJSON{}}
	for _, b := range r.Blocks {
		block := repairBlockJSON{b.Block.String(), b.Tensor, "", string(b.Method), b.Lambda, b.Before, b.After, b.Skipped}
		if t, ok := o.Raised[b.Tensor]; ok {
			block.Type = t.Name()
		}
		out.Blocks = append(out.Blocks, block)
		if b.Skipped == "" {
			out.Method = string(b.Method)
		}
	}
	return out
}
