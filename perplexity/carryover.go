package perplexity

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Change is how much more surprising a text is to a pruned model than to the whole one.
type Change struct {
	Before, After float64 // perplexities
	LogRatio      float64 // of them, in nats: the mean difference of losses
	StdErr        float64 // of LogRatio, from the differences between sequences; NaN for fewer than two
	Sequences     int
}

// Ratio returns After/Before.
func (c Change) Ratio() float64 { return math.Exp(c.LogRatio) }

// NewChange compares the sums of the same sequences before and after. Differences are taken sequence by sequence, so what makes one text
// harder than another cancels. The mean is the convention's: over sequences, or over tokens.
func NewChange(convention Convention, before, after []Sum) Change {
	c := Change{Before: PPL(convention, before), After: PPL(convention, after), Sequences: len(before), StdErr: math.NaN()}
	total, n := 0.0, float64(len(before))
	weight := func(i int) float64 {
		if convention == Samples {
			return 1
		}
		return float64(before[i].Count)
	}
	for i := range before {
		total += weight(i)
	}
	diff := func(i int) float64 { return after[i].Mean() - before[i].Mean() }
	for i := range before {
		c.LogRatio += weight(i) / total * diff(i)
	}
	if n < 2 {
		return c
	}
	sum := 0.0
	for i := range before {
		d := weight(i) / total * (diff(i) - c.LogRatio)
		sum += d * d
	}
	c.StdErr = math.Sqrt(sum * n / (n - 1))
	return c
}

// Verdict says whether what a search saw on its own text holds on text that it has not seen.
type Verdict string

// The verdicts.
const (
	CarriesOver Verdict = "carries over"
	NotOver     Verdict = "does not carry over"
	CannotTell  Verdict = "too little text to tell"
)

// MinGap is the least difference in nats that matters: two per cent of perplexity.
const MinGap = 0.02

// CarryOver judges by the gap between the two log ratios, in nats. Noise is what the gap may be by chance: the joint standard error
// times Student's t for 95%, with one degree of freedom less than the fewer of the sequences. The loss does not carry over if the gap
// is greater than the noise and than [MinGap]. A gap that large cannot be told where the noise is greater than half of a
// perplexity and the gap is not greater still.
func CarryOver(seen, held Change) (v Verdict, gap, noise float64) {
	gap = held.LogRatio - seen.LogRatio
	n := min(seen.Sequences, held.Sequences)
	if n < 2 || math.IsNaN(gap) {
		return CannotTell, gap, math.NaN()
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile(0.95)
	noise = t * math.Hypot(seen.StdErr, held.StdErr)
	switch {
	case math.IsInf(held.After, 1) && !math.IsInf(seen.After, 1):
		return NotOver, gap, noise
	case math.IsNaN(noise), noise > math.Log(1.5) && gap <= noise:
		return CannotTell, gap, noise
	case gap > max(noise, MinGap):
		return NotOver, gap, noise
	}
	return CarriesOver, gap, noise
}
