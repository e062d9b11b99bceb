package tasks

import "math"

// Interval is a confidence interval.
type Interval struct{ Low, High float64 }

// z95 is the standard normal's 97.5% quantile, with the digits that llama-perplexity has.
const z95 = 1.95996398454

// Wilson is the 95% score interval of k successes in n trials (Wilson, JASA 22, 1927).
func Wilson(k, n int) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	p, m := float64(k)/float64(n), float64(n)
	z2 := z95 * z95 / m
	half := z95 * math.Sqrt((p*(1-p)+z2/4)/m)
	return Interval{max(0, (p+z2/2-half)/(1+z2)), min(1, (p+z2/2+half)/(1+z2))}
}

// Mean is the mean of accuracies with its 95% interval, recovered from theirs: the squares of their distances to either side
// add up (the method of variance estimates recovery; Zou and Donner, Statistics in Medicine 27, 2008).
func Mean(p []float64, of []Interval) (float64, Interval) {
	sum, down, up := 0.0, 0.0, 0.0
	for i, x := range p {
		sum += x
		down += (x - of[i].Low) * (x - of[i].Low)
		up += (of[i].High - x) * (of[i].High - x)
	}
	n := float64(len(p))
	return sum / n, Interval{(sum - math.Sqrt(down)) / n, (sum + math.Sqrt(up)) / n}
}
