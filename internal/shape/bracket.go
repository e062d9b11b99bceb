package shape

import (
	"cmp"
	"math"
	"slices"
)

// growth: the loss grows about with this power of what goes, until two amounts say it better.
const growth = 1.5

// Point is what removing a part of the parameters takes of a bound of quality: 1 is all of it.
type Point struct{ Ratio, Used float64 }

// Bracket is what is known of how much can go: points in the order of their ratios.
type Bracket []Point

// Has reports whether a point of a ratio is known.
func (b Bracket) Has(ratio float64) bool {
	return slices.ContainsFunc(b, func(p Point) bool { return p.Ratio == ratio })
}

// Add adds a point, unless its ratio is there.
func (b *Bracket) Add(p Point) {
	if b.Has(p.Ratio) {
		return
	}
	*b = append(*b, p)
	slices.SortFunc(*b, func(x, y Point) int { return cmp.Compare(x.Ratio, y.Ratio) })
}

// Next is the ratio that is likely to take all of the bound: by the two points around it, or by the nearest one.
func (b Bracket) Next() float64 {
	at := slices.IndexFunc(b, func(p Point) bool { return p.Used > 1 })
	switch at {
	case -1:
		return min(0.9, b[len(b)-1].Scaled())
	case 0:
		return b[0].Scaled()
	}
	lo, hi := b[at-1], b[at]
	power := growth
	if lo.Used > 0 && !math.IsInf(hi.Used, 0) {
		power = math.Log(hi.Used/lo.Used) / math.Log(hi.Ratio/lo.Ratio)
	}
	if r := scaled(lo, power); r > lo.Ratio && r < hi.Ratio {
		return r
	}
	return math.Sqrt(lo.Ratio * hi.Ratio)
}

// scaled is the ratio that takes all of the bound, if what it takes grows with power. A point that takes next to nothing, or far too
// much, says little: the step from it is bounded.
func scaled(p Point, power float64) float64 {
	return p.Ratio * min(3, max(1./4, math.Pow(max(p.Used, 1e-9), -1/power)))
}

// Scaled is the ratio that is likely to take all of the bound, by one point alone.
func (p Point) Scaled() float64 { return scaled(p, growth) }
