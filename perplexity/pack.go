package perplexity

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
)

// pack groups the sequences which (indices into seqs) into batches of at most maxSeqs sequences and maxTokens tokens, where
// a batch costs its number of sequences times its longest, since the engine pads. Sequences are taken from long to short,
// equal lengths in the order of which, so that neighbours differ little and the order is the same every time. Windows, all
// of one length, stay in their order.
func pack(seqs []engine.Sequence, which []int, maxTokens, maxSeqs int) ([][]int, error) {
	order := slices.Clone(which)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(seqs[b].Tokens), len(seqs[a].Tokens)) })
	var batches [][]int
	for len(order) > 0 {
		longest := len(seqs[order[0]].Tokens)
		n := min(len(order), maxSeqs, maxTokens/max(longest, 1))
		if n < 1 {
			return nil, fmt.Errorf("a sequence of %d tokens does not fit a batch of %d; raise -b or lower -c", longest, maxTokens)
		}
		batches = append(batches, order[:n:n])
		order = order[n:]
	}
	return batches, nil
}

func gather(seqs []engine.Sequence, which []int) []engine.Sequence {
	out := make([]engine.Sequence, len(which))
	for i, s := range which {
		out[i] = seqs[s]
	}
	return out
}
