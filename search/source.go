package search

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Source runs the sequences of a calibration set under masks. perplexity.Evaluator is one. Sequences go by their index.
type Source interface {
	Sequences() int
	Size(i int) (tokens, scored int) // of sequence i: tokens that run, positions that count

	// Batches groups the sequences which into what runs at once: the same batches for the same which.
	Batches(which []int) ([][]int, error)

	// Losses runs one of these batches and calls got with each sequence's sum of losses in nats, in the order of batch: for
	// i = -1 with removed left out, if base is set, then for every candidate with it left out as well. Broken masks have losses
	// of +Inf. An error of got ends it.
	Losses(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
		got func(i int, losses []float64) error) error

	// Branches reports whether the run of removed alone ends early when base is not set.
	Branches() bool

	// Fold returns the score of the sequences which, whose sums of losses are given in their order.
	Fold(which []int, losses []float64) float64

	// OfMean returns the score that goes with a mean loss.
	OfMean(mean float64) float64

	// Known returns the score of the whole model where it follows from what losses are, without a measurement.
	Known() (score float64, ok bool)
}
