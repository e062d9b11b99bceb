package search

import (
	"math/rand/v2"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Random returns a ranking drawn from seed: what any other strategy must beat.
func Random(s Scorer, seed uint64) *Ranked {
	return &Ranked{name: "random", Scorer: s, Values: perBlock(func(b blockmask.Block) (float64, error) {
		return rand.New(rand.NewPCG(seed, uint64(b.Layer)<<1|uint64(b.Kind))).Float64(), nil
	})}
}
