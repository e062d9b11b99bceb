package cli

import (
	"fmt"
	"math"
)

// formatCount prints a number of parameters as people write it: 1.24 B, 11.5 M.
func formatCount(n uint64) string {
	for _, u := range []struct {
		size   float64
		suffix string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		switch v := float64(n) / u.size; {
		case v < 0.9995:
			continue
		case v < 9.995:
			return fmt.Sprintf("%.2f %s", v, u.suffix)
		case v < 99.95:
			return fmt.Sprintf("%.1f %s", v, u.suffix)
		default:
			return fmt.Sprintf("%.0f %s", v, u.suffix)
		}
	}
	return fmt.Sprint(n)
}

// formatScore prints a perplexity; an exploded one as "inf".
func formatScore(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return "inf"
	}
	return fmt.Sprintf("%.4f", v)
}
