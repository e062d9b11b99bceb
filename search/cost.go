package search

import "github.com/ggufprune/ggufprune/blockmask"

// Cost is what running a model costs, counted in block-tokens: one block run on one token. It compares searches on the same
// model, whatever the machine.
type Cost struct {
	Blocks    []blockmask.Block // all of them, in order
	Head      float64           // the output head with the loss, for each scored position, in blocks
	Embedding float64           // the embedding, for each token, in blocks
}

// Usage is a cost on sequences of any length: so many blocks on each token, so many heads on each scored position.
type Usage struct{ Blocks, Heads float64 }

// Times returns the cost on so many tokens, of which so many are scored, in block-tokens.
func (u Usage) Times(c Cost, tokens, scored int) float64 {
	return u.Blocks*float64(tokens) + u.Heads*c.Head*float64(scored)
}

// Eval returns the cost of one evaluation: removed alone, up to the last boundary needed if its result is not wanted, then each
// candidate from its first block on. Without candidates and base nothing runs.
func (c Cost) Eval(removed blockmask.Mask, candidates []blockmask.Mask, base, branches bool) Usage {
	if len(candidates) == 0 && !base {
		return Usage{}
	}
	var u Usage
	last := 0
	for _, cand := range candidates {
		before, after := c.around(removed, cand)
		u.Blocks += float64(after)
		u.Heads++
		last = max(last, before)
	}
	if base || !branches {
		last = len(c.Blocks) - removed.Len()
		u.Heads++
	}
	u.Blocks += float64(last) + c.Embedding
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
func (c Cost) paper(removed blockmask.Mask, candidates []blockmask.Mask) Usage {
	var u Usage
	for _, cand := range candidates {
		u.Blocks += float64(len(c.Blocks)-removed.Union(cand).Len()) + c.Embedding
		u.Heads++
	}
	return u
}
