package strategy

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// lowest returns the index of the first of the lowest finite scores, or 0 if none is finite.
func lowest(scores []float64) int {
	best := 0
	for i, s := range scores {
		if jsonnum.Finite(s) && (!jsonnum.Finite(scores[best]) || s < scores[best]) {
			best = i
		}
	}
	return best
}

// middle returns n candidates around the middle of the model: neither the dearest nor the cheapest.
func middle(cands []blockmask.Mask, n int) []blockmask.Mask {
	from := (len(cands) - n) / 2
	return cands[from : from+n]
}
