package race

// A text that is hurt by a block's removal in one step is hurt by it in the next, when one more block is gone. On a real model of 12
// layers the rise of a sequence's loss that a candidate causes is correlated with that of the step before by 0.95, while it varies from
// sequence to sequence three times as much as it changes from step to step.
//
// So most of what makes a few sequences unlike the whole set is known beforehand and can be taken out: a control variate. Where a
// race measures the loss x of a candidate on sequence s, it takes
//
//	x - (r(s) - mean of r)
//
// where r(s) is the rise that the candidate caused there when it was last measured. The mean over all sequences is that of x, so
// nothing is biased, whatever r is. Sequences on which the candidate was never measured count as the mean of r, and are left as
// they are.

import (
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Foretold has, by candidate, the rise of each sequence's mean loss that is expected of it; NaN where it was never measured. Those
// measured in different steps are on the level of the last one.
type Foretold map[string][]float64

// Adjust takes out of the mean losses x of candidate m on the sequences which what was known of them beforehand.
func (f Foretold) Adjust(m blockmask.Mask, which []int, x []float64) {
	rise := f[m.Key()]
	if rise == nil {
		return
	}
	mean := meanOf(rise)
	for j, i := range which {
		if !math.IsNaN(rise[i]) {
			x[j] -= rise[i] - mean
		}
	}
}

// Learn takes in what candidate m was measured to raise; NaN or infinite where it was not.
func (f Foretold) Learn(m blockmask.Mask, rise []float64) {
	old := f[m.Key()]
	if old == nil {
		old = Nowhere(len(rise))
	}
	level := make([]float64, len(rise)) // by how much those rise that are known from before and again now
	out := make([]float64, len(rise))
	for i, now := range rise {
		if !jsonnum.Finite(now) {
			now = math.NaN()
		}
		level[i], out[i] = now-old[i], now
	}
	by := meanOf(level)
	if math.IsNaN(by) {
		by = meanOf(out) - meanOf(old)
	}
	for i := range out {
		if math.IsNaN(out[i]) {
			out[i] = old[i] + by
		}
	}
	if !math.IsNaN(meanOf(out)) {
		f[m.Key()] = out
	}
}

// meanOf is the mean of those of x that are known, NaN if none is.
func meanOf(x []float64) float64 {
	sum, n := 0.0, 0.0
	for _, v := range x {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// Nowhere is n unknown values.
func Nowhere(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}
