package kld

import (
	"math"

	"github.com/ggufprune/ggufprune/engine"
)

// Term returns one token's part p*log(p/q) of a KL divergence in nats, from the two log-probabilities. What the reference deems impossible
// adds nothing.
func Term(logP, logQ float64) float64 {
	p := math.Exp(logP)
	if p == 0 {
		return 0
	}
	return p * (logP - logQ)
}

// Divergence returns the divergence in nats of a model that predicts logProb (of all tokens) from the reference at the
// position-th scored position: the sum over the top tokens of p*log(p/q), and one such term for everything else. It is the
// definition that engines are held against.
func Divergence(r *engine.Reference, position int, logProb []float64) float64 {
	kl, restP, restQ := 0.0, 1.0, 1.0
	for i := position * r.K; i < (position+1)*r.K; i++ {
		lp, lq := float64(r.LogProbs[i]), logProb[r.IDs[i]]
		kl += Term(lp, lq)
		restP -= math.Exp(lp)
		restQ -= math.Exp(lq)
	}
	// Rounding may leave a rest a little below zero. Where the model has no rest but the reference has, the term is not infinite
	// in truth but unknown; the floor keeps it finite and large.
	const floor = 1e-9
	if restP > floor {
		kl += restP * math.Log(restP/max(restQ, floor))
	}
	if math.IsNaN(kl) || math.IsInf(kl, 0) {
		return math.Inf(1)
	}
	return max(0, kl)
}
