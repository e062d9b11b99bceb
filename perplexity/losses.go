package perplexity

import (
	"context"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// The methods below let a search measure parts of the set, and make *Evaluator a search.Source.

// Sequences returns the number of sequences of the set.
func (v *Evaluator) Sequences() int { return len(v.set.Sequences) }

// Size returns the tokens and the scored positions of sequence i.
func (v *Evaluator) Size(i int) (tokens, scored int) {
	s := v.set.Sequences[i]
	return len(s.Tokens), s.Scored()
}

// Batches groups the sequences which (indices into the set) into batches as large as the engine takes: the same ones every time.
func (v *Evaluator) Batches(which []int) ([][]int, error) { return v.pack(which) }

// Branches reports whether a batch's base run is shortened when its result is not wanted.
func (v *Evaluator) Branches() bool {
	_, ok := v.runner.(engine.Brancher)
	return ok
}

// Losses runs one batch (of [Evaluator.Batches]) and calls got with the sum of each sequence's losses in nats, in the order of
// batch: for i = -1 with removed left out, if base is set, then for every candidate with it left out as well.
func (v *Evaluator) Losses(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	eval, next := v.runner.Eval, -1
	if b, ok := v.runner.(engine.Brancher); ok && !base {
		eval, next = b.EvalCandidates, 0
	}
	done, total := 0, len(candidates)-next
	return v.runOn(ctx, eval, next, gather(v.set.Sequences, batch), removed, candidates, func(i int, sums []Sum, tokens int) error {
		if done++; v.OnProgress != nil {
			v.OnProgress(Progress{Done: done, Total: total, Tokens: tokens, Candidate: i})
		}
		if i < 0 && !base {
			return nil
		}
		losses := make([]float64, len(sums))
		for j, s := range sums {
			losses[j] = s.NLL
		}
		return got(i, losses)
	})
}

// Fold returns the score of the sequences which, whose sums of losses are given in their order.
func (v *Evaluator) Fold(which []int, losses []float64) float64 {
	sums := make([]Sum, len(which))
	for j, s := range which {
		sums[j] = Sum{NLL: losses[j], Count: v.set.Sequences[s].Scored()}
	}
	return v.set.Score(sums)
}

// OfMean returns the score that goes with a mean loss.
func (v *Evaluator) OfMean(mean float64) float64 {
	if v.set.Metric == KLD {
		return mean
	}
	return math.Exp(mean)
}

// Known returns the score of the whole model where it needs no measurement: it does not diverge from itself.
func (v *Evaluator) Known() (float64, bool) { return 0, v.set.Metric == KLD }
