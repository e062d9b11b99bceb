package search

import "github.com/ggufprune/ggufprune/blockmask"

// Cost is what running a model costs, counted in block-tokens: one block run on one token. It compares searches on the same
// model, whatever the machine.
type Cost struct {
	Blocks    []blockmask.Block // all of them, in order
	Head      float64           // the output head with the loss, for each scored position, in blocks
	Embedding float64           // the embedding, for each token, in blocks
}

// usage is a cost on sequences of any length: so many blocks on each token, so many heads on each scored position.
type usage struct{ blocks, heads float64 }

func (u usage) times(c Cost, tokens, scored int) float64 {
	return u.blocks*float64(tokens) + u.heads*c.Head*float64(scored)
}

// eval returns the cost of one evaluation: removed alone, up to the last boundary needed if its result is not wanted, then each
// candidate from its first block on. Without candidates and base nothing runs.
func (c Cost) eval(removed blockmask.Mask, candidates []blockmask.Mask, base, branches bool) usage {
	if len(candidates) == 0 && !base {
		return usage{}
	}
	var u usage
	last := 0
	for _, cand := range candidates {
		before, after := c.around(removed, cand)
		u.blocks += float64(after)
		u.heads++
		last = max(last, before)
	}
	if base || !branches {
		last = len(c.Blocks) - removed.Len()
		u.heads++
	}
	u.blocks += float64(last) + c.Embedding
	return u
}

// around counts the blocks left by removed before candidate's first block, and those left by both from there on.
func (c Cost) around(removed, candidate blockmask.Mask) (before, after int) {
	for _, b := range c.Blocks {
		switch {
		case removed.Has(b) || candidate.Has(b):
		case len(candidate) > 0 && blockmask.Compare(b, candidate[0].Block) < 0:
			before++
		default:
			after++
		}
	}
	return before, after
}

// paper returns what the paper's procedure pays for the same candidates: a full pass for each.
func (c Cost) paper(removed blockmask.Mask, candidates []blockmask.Mask) usage {
	var u usage
	for _, cand := range candidates {
		u.blocks += float64(len(c.Blocks)-removed.Union(cand).Len()) + c.Embedding
		u.heads++
	}
	return u
}
