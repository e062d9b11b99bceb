package perplexity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
)

// TopTokens is how many tokens a reference keeps of each position. With 512, what the tail hides of the divergence is far below the
// differences between candidates, and a position takes 4 KiB.
const TopTokens = 512

// ReferenceBytes returns the memory that the references of set take, to be told before they are made.
func ReferenceBytes(set *Set, k int) int64 { return int64(set.Scored()) * int64(k) * 8 }

// WithReferences returns the set with the divergence from the whole model as its loss: runner runs each sequence once.
// progress, if not nil, is called with the number of sequences done.
func WithReferences(ctx context.Context, runner engine.Runner, set *Set, k int, progress func(done int)) (*Set, error) {
	batches, err := pack(set.Sequences, ordered(len(set.Sequences), 0), runner.BatchTokens(), runner.BatchSeqs())
	if err != nil {
		return nil, err
	}
	out := *set
	out.Metric = KLD
	out.Sequences = slices.Clone(set.Sequences)
	done := 0
	for _, batch := range batches {
		compared, err := Compared(ctx, runner, gather(set.Sequences, batch), k)
		if err != nil {
			return nil, fmt.Errorf("sequences %v: %w", batch, err)
		}
		for j, s := range batch {
			out.Sequences[s] = compared[j]
		}
		if done += len(batch); progress != nil {
			progress(done)
		}
	}
	return &out, nil
}

// Compared returns sequences of one batch with the divergence from the whole model as their loss: runner runs each once.
func Compared(ctx context.Context, runner engine.Runner, batch []engine.Sequence, k int) ([]engine.Sequence, error) {
	ref, ok := runner.(engine.Referencer)
	if !ok {
		return nil, errors.New("this engine cannot measure KL divergence")
	}
	refs, err := ref.TopK(ctx, batch, k)
	if err != nil {
		return nil, err
	}
	if len(refs) != len(batch) {
		return nil, fmt.Errorf("engine gave %d references for %d sequences", len(refs), len(batch))
	}
	out := slices.Clone(batch)
	for i := range out {
		if err := checkReference(refs[i], out[i]); err != nil {
			return nil, err
		}
		out[i].Ref = refs[i]
	}
	return out, nil
}

// checkReference makes sure that a reference fits its sequence and holds log-probabilities.
func checkReference(r *engine.Reference, s engine.Sequence) error {
	n := s.Scored()
	if r == nil || r.K < 1 || len(r.IDs) != n*r.K || len(r.LogProbs) != n*r.K {
		return fmt.Errorf("the reference does not fit %d scored positions", n)
	}
	for i, p := range r.LogProbs {
		if !(p <= 0) || i%r.K > 0 && p > r.LogProbs[i-1] { // NaN too
			return fmt.Errorf("the reference has a log-probability of %v; is the model damaged?", p)
		}
	}
	return nil
}
