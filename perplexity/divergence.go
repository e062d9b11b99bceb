package perplexity

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Divergence is the KL divergence of a masked model from the whole one over all scored positions of a set, in nats.
type Divergence struct {
	Mean, StdErr, Median, P99, P999, Max float64
	Scored                               int
}

// Divergence measures the model with removed left out. The set needs references: see [WithReferences].
func (v *Evaluator) Divergence(ctx context.Context, removed blockmask.Mask) (Divergence, error) {
	if v.set.Metric != KLD {
		return Divergence{}, fmt.Errorf("this set has no references to measure KL divergence from")
	}
	batches, err := v.pack(v.all)
	if err != nil {
		return Divergence{}, err
	}
	var all []float64
	for _, batch := range batches {
		seqs := gather(v.set.Sequences, batch)
		err := v.engine.Eval(ctx, seqs, removed, nil, func(_ int, kl [][]float64) error {
			for s, seq := range seqs {
				for p, t := range seq.Targets {
					if t >= 0 {
						all = append(all, kl[s][p])
					}
				}
			}
			return nil
		})
		if err != nil {
			return Divergence{}, err
		}
	}
	return divergence(all), nil
}

func divergence(kl []float64) Divergence {
	var s Sum
	for i, x := range kl {
		s.add(x)
		if math.IsNaN(x) {
			kl[i] = math.Inf(1)
		}
	}
	slices.Sort(kl)
	at := func(q float64) float64 { return kl[min(len(kl)-1, int(q*float64(len(kl))))] }
	d := Divergence{Mean: s.Mean(), Median: at(0.5), P99: at(0.99), P999: at(0.999), Max: kl[len(kl)-1], Scored: len(kl)}
	if v := s.Squares/float64(s.Count) - d.Mean*d.Mean; v > 0 && s.Count > 1 && !math.IsInf(v, 1) {
		d.StdErr = math.Sqrt(v / float64(s.Count-1))
	}
	return d
}
