package searchbench

import (
	"context"
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// recorded is a source whose losses a ledger has.
type recorded struct {
	search.Source
	in *search.Ledger
}

func (s recorded) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	return eachMask(removed, candidates, base, func(i int, m blockmask.Mask) error {
		losses := s.in.Means(batch, m)
		for j, seq := range batch {
			_, scored := s.Size(seq)
			losses[j] *= float64(scored)
			if math.IsNaN(losses[j]) {
				return fmt.Errorf("sequence %d without %s was not measured", seq, m)
			}
		}
		return got(i, losses)
	})
}

// eachMask calls do as search.Source.Losses says: for removed alone as -1, if base is set, and with each candidate.
func eachMask(removed blockmask.Mask, candidates []blockmask.Mask, base bool, do func(i int, m blockmask.Mask) error) error {
	if base {
		if err := do(-1, removed); err != nil {
			return err
		}
	}
	for i, c := range candidates {
		if err := do(i, removed.Union(c)); err != nil {
			return err
		}
	}
	return nil
}
