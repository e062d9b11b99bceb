package kld

import (
	"math"
	"slices"
)

// Report is how one model's predictions differ from another's, the base's: the statistics that llama-perplexity prints with
// --kl-divergence, over the whole vocabulary. On the same base file, text and batches its digits are the same.
type Report struct {
	Positions   int     // scored
	PPL         Mean    // of the model
	BasePPL     Mean    // of the base, from its quantised predictions
	Correlation float64 // of the two logarithms of perplexity, at most 1
	LnRatio     Mean    // ln(PPL / base PPL)
	Ratio       Mean    // PPL / base PPL
	Difference  Mean    // PPL - base PPL
	KLD         Mean    // KL divergence from the base in nats
	KLDs        Quantiles
	DeltaP      Mean // change of the right token's probability, 0.01 is a percentage point
	DeltaPs     Quantiles
	RMSDeltaP   Mean // root of the mean square of that change
	SameTop     Mean // part of the positions at which both find the same token likeliest, 0 to 1
}

// Quantiles of a distribution over positions.
type Quantiles struct {
	Max, P999, P99, P95, P90, P75, Median, P25, P10, P5, P1, P01, Min float64
}

// report computes the statistics from the sums and each position's KL divergence and change of probability, which it sorts.
func (s *sums) report(klds, deltas []float32) Report {
	n := s.count
	ln, lnBase := meanOf(s.nll, s.nll2, n), meanOf(s.base, s.base2, n)
	cov := covariance(s.nll, s.base, s.nllBase, n)
	r := Report{
		Positions: n, PPL: expMean(ln), BasePPL: expMean(lnBase), Correlation: cov / (ln.StdErr * lnBase.StdErr),
		LnRatio: Mean{ln.Value - lnBase.Value, errorOfDifference(ln.StdErr, lnBase.StdErr, cov)},
		KLD:     meanOf(s.kld, s.kld2, n), KLDs: quantiles(klds),
		DeltaP: meanOf(s.dp, s.dp2, n), DeltaPs: quantiles(deltas),
	}
	r.Ratio = expMean(r.LnRatio)
	r.Difference = Mean{
		r.PPL.Value - r.BasePPL.Value,
		errorOfDifference(r.PPL.StdErr, r.BasePPL.StdErr, r.PPL.Value*r.BasePPL.Value*cov),
	}
	square := meanOf(s.dp2, s.dp4, n)
	r.RMSDeltaP.Value = math.Sqrt(square.Value)
	if square.Value > 0 {
		r.RMSDeltaP.StdErr = 0.5 / r.RMSDeltaP.Value * square.StdErr
	}
	same := float64(s.sameTop) / float64(n)
	r.SameTop = Mean{same, math.Sqrt(same * (1 - same) / float64(n-1))}
	return r
}

// expMean returns exp of a mean, with the error that the slope of exp gives it.
func expMean(m Mean) Mean {
	v := math.Exp(m.Value)
	return Mean{v, v * m.StdErr}
}

// errorOfDifference returns the standard error of a - b.
func errorOfDifference(errA, errB, cov float64) float64 {
	return math.Sqrt(max(0, errA*errA+errB*errB-2*cov))
}

// quantiles sorts v and returns its quantiles, between two values by interpolation in float32.
func quantiles(v []float32) Quantiles {
	if len(v) == 0 {
		return Quantiles{}
	}
	slices.Sort(v)
	at := func(fraction float32) float64 {
		p := fraction * float32(len(v)-1)
		i := int(p)
		p -= float32(i)
		return float64((1-p)*v[i] + p*v[min(i+1, len(v)-1)])
	}
	median := v[len(v)/2]
	if len(v)%2 == 0 {
		median = 0.5 * (v[len(v)/2] + v[len(v)/2-1])
	}
	return Quantiles{
		Max: float64(v[len(v)-1]), P999: at(0.999), P99: at(0.99), P95: at(0.95), P90: at(0.9), P75: at(0.75), Median: float64(median),
		P25: at(0.25), P10: at(0.1), P5: at(0.05), P1: at(0.01), P01: at(0.001), Min: float64(v[0]),
	}
}
