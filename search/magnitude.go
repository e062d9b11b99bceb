package search

import "github.com/ggufprune/ggufprune/blockmask"

// Magnitude returns the ranking by relative magnitude: norm gives the size of a block's weights, such as their root mean square,
// and the smallest go first. It looks at no text at all.
func Magnitude(s Scorer, norm func(blockmask.Block) (float64, error)) *Ranked {
	return &Ranked{name: "magnitude", Scorer: s, Values: perBlock(norm)}
}
