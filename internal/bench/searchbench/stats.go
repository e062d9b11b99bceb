package searchbench

import (
	"math"
	"slices"
)

func worst(xs []float64) float64 {
	w := math.Inf(-1)
	for _, x := range xs {
		w = max(w, x)
	}
	return w
}

func mean(xs []float64) float64 {
	s := 0.0
	for _, x := range xs {
		s += x / float64(len(xs))
	}
	return s
}

func minus(a, b []float64) []float64 {
	out := slices.Clone(a)
	for i := range out {
		out[i] -= b[i]
	}
	return out
}

func variance(x []float64) float64 {
	m, v := mean(x), 0.0
	for _, e := range x {
		v += (e - m) * (e - m) / float64(len(x)-1)
	}
	return v
}
