package race

import (
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// quantiles remembers studentT: the same few are needed again and again, and each takes longer than the rest of a look.
var quantiles sync.Map

// studentT returns the value that Student's distribution with nu degrees of freedom exceeds with probability level.
func studentT(level, nu float64) float64 {
	key := [2]float64{level, nu}
	if t, ok := quantiles.Load(key); ok {
		return t.(float64)
	}
	t := distuv.StudentsT{Sigma: 1, Nu: nu}.Quantile(1 - level)
	quantiles.Store(key, t)
	return t
}

// paired returns the mean and the variance of the paired differences a - b.
func paired(a, b []float64) (mean, variance float64) {
	n := float64(len(a))
	for i := range a {
		mean += (a[i] - b[i]) / n
	}
	for i := range a {
		e := a[i] - b[i] - mean
		variance += e * e / (n - 1)
	}
	return mean, variance
}

// pool returns the typical variance of several estimates from s values each, and its degrees of freedom. The median of a chi
// squared variable lies below its mean by the factor of Wilson and Hilferty.
func pool(v []float64, s int) (typical, df float64) {
	if len(v) == 0 {
		return 0, 1
	}
	v = slices.Sorted(slices.Values(v))
	k := len(v)
	typical = (v[k/2] + v[(k-1)/2]) / 2
	nu := float64(s - 1)
	if k == 1 {
		return typical, nu
	}
	c := 1 - 2/(9*nu)
	return typical / (c * c * c), nu * max(1, float64(k)/2)
}
