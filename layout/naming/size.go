package naming

import (
	"fmt"
	"math"
	"strconv"
)

// SizeLabel is general.size_label as gguf-py computes it: "2.6B", and for a mixture of experts "8x7B", the number of experts times what
// a single one would run. params counts all weights, inExperts those of the experts; experts is 0 where there are none.
func SizeLabel(params, inExperts uint64, experts int) string {
	if experts == 0 {
		return rounded(float64(params))
	}
	return strconv.Itoa(experts) + "x" + rounded(float64(params)-float64(inExperts)+float64(inExperts)/float64(experts))
}

// rounded writes a number of weights with at least two digits: 620M, 2.6B, 13B.
func rounded(n float64) string {
	scaled, suffix := n*1e-3, "K"
	switch {
	case n > 1e12:
		scaled, suffix = n*1e-12, "T"
	case n > 1e9:
		scaled, suffix = n*1e-9, "B"
	case n > 1e6:
		scaled, suffix = n*1e-6, "M"
	}
	digits := 1
	if math.RoundToEven(scaled) < 1 {
		digits = 2
	} else if math.RoundToEven(scaled) >= 10 {
		digits = 0
	}
	return fmt.Sprintf("%.*f%s", digits, scaled, suffix)
}
