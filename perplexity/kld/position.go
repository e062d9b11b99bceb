package kld

import (
	"math"

	"github.com/ggufprune/ggufprune/engine"
)

// leastLogProb in nats is where llama-perplexity stops to count a token's part of the KL divergence.
const leastLogProb = -16

// position is how one position's prediction differs from the base's.
type position struct {
	nll, baseNLL float32 // of the token that follows, in nats
	kld          float64 // in nats
	deltaP       float32 // change of that token's probability
	sameTop      bool    // both find the same token likeliest

	mass float32 // what the base's probabilities add up to, but for the least; NaN where they are none
}

// comparePosition compares logits with the base's prediction of the same position, over the whole vocabulary, in the
// precision and the order of llama-perplexity (perplexity.cpp, log_softmax with base_log_prob).
func comparePosition(logits []float32, base quantizedRow, target engine.Token) position {
	top, best := logits[0], 0
	for i, l := range logits {
		if l > top {
			top, best = l, i
		}
	}
	logSum := logSumExp(logits, top)
	var p position
	p.nll = top + logSum - logits[target]
	p.baseNLL = -base.logProb(target)

	norm := top + logSum
	baseTop, baseBest := float32(0), -1
	for i, l := range logits {
		lp := base.logProb(engine.Token(i))
		if i == 0 || lp > baseTop {
			baseTop, baseBest = lp, i
		}
		if lp > leastLogProb {
			e := expf(lp)
			p.mass += e
			p.kld += float64(e * (lp - l + norm))
		}
	}
	if !base.sound() { // with a scale below 0, one token may have all of the mass and the others less than nothing
		p.mass = float32(math.NaN())
	}
	p.sameTop = best == baseBest
	p.deltaP = expf(-p.nll) - expf(-p.baseNLL)
	return p
}

// sums are the sums over positions of which the statistics are made. Squares are of float32 values, in float32 first, as
// llama-perplexity takes them.
type sums struct {
	nll, nll2, base, base2, nllBase float64
	kld, kld2                       float64
	dp, dp2, dp4                    float64
	sameTop, count                  int
}

func (s *sums) add(p position) {
	s.nll += float64(p.nll)
	s.nll2 += float64(p.nll * p.nll)
	s.base += float64(p.baseNLL)
	s.base2 += float64(p.baseNLL * p.baseNLL)
	s.nllBase += float64(p.nll * p.baseNLL)
	s.kld += p.kld
	s.kld2 += p.kld * p.kld
	d2 := float64(p.deltaP * p.deltaP)
	s.dp += float64(p.deltaP)
	s.dp2 += d2
	s.dp4 += d2 * d2
	if p.sameTop {
		s.sameTop++
	}
	s.count++
}

// Mean is a mean and its standard error, NaN where the observations are too few to tell.
type Mean struct{ Value, StdErr float64 }

// meanOf returns the mean of n observations from their sum and the sum of their squares.
func meanOf(sum, squares float64, n int) Mean {
	if n < 1 {
		return Mean{}
	}
	m := Mean{sum / float64(n), math.NaN()}
	if v := squares/float64(n) - m.Value*m.Value; n > 10 { // llama-perplexity's bound
		m.StdErr = math.Sqrt(max(0, v) / float64(n-1))
	}
	return m
}

// covariance returns the covariance of two means of n observations each, 0 for few observations.
func covariance(sumA, sumB, sumAB float64, n int) float64 {
	if n < 10 {
		return 0
	}
	f := float64(n)
	return (sumAB/f - sumA/f*(sumB/f)) / (f - 1)
}
