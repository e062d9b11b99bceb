package render

import (
	"math"
	"strings"
)

// number is x, or null where it is not finite: JSON has no infinity.
func number(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	return &x
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
