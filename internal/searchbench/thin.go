package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// thinned returns the set with only part (0 to 1) of each sequence's scored positions scored, at least one: chosen at random, the same
// ones for the same seed, so that all masks are measured on the same positions. The blocks run on every token as before; what
// is saved is the output head.
//
// That pays only where sequences differ more among themselves than a sequence's mean is uncertain: see [leastPart]. Races score all
// positions, since it hardly pays there (docs/RATIONALE.md).
func thinned(set *perplexity.Set, part float64, seed uint64) *perplexity.Set {
	out := *set
	out.Sequences = make([]engine.Sequence, len(set.Sequences))
	for i, s := range set.Sequences {
		out.Sequences[i] = thin(s, part, rand.New(rand.NewPCG(seed, uint64(i)+1)))
	}
	return &out
}

func thin(s engine.Sequence, part float64, rng *rand.Rand) engine.Sequence {
	var scored []int
	for p, t := range s.Targets {
		if t >= 0 {
			scored = append(scored, p)
		}
	}
	n := min(len(scored), max(1, int(math.Round(part*float64(len(scored))))))
	keep := rng.Perm(len(scored))[:n]
	slices.Sort(keep)
	out := engine.Sequence{Tokens: s.Tokens, Targets: make([]engine.Token, len(s.Targets))}
	for p := range out.Targets {
		out.Targets[p] = engine.Unscored
	}
	for _, k := range keep {
		out.Targets[scored[k]] = s.Targets[scored[k]]
	}
	if s.Ref != nil {
		out.Ref = pick(s.Ref, keep)
	}
	return out
}

// leastPart returns which part of its positions to score so that an estimate of a given precision costs least. A sequence costs
// blocks + part*head; its mean difference between two masks has the variance between + within/part, where between is the
// variance of the sequences' true means and within that of a mean over all of its positions. Cost times variance is least at
// sqrt(blocks*within / (head*between)).
func leastPart(blocks, head, between, within float64) float64 {
	if !(head > 0) || !(between > 0) || !(within >= 0) {
		return 1
	}
	return min(1, math.Sqrt(blocks*within/(head*between)))
}

// pick returns the part of a reference of the positions (counted among the scored ones) that keep has.
func pick(r *engine.Reference, keep []int) *engine.Reference {
	if r == nil {
		return nil
	}
	out := &engine.Reference{K: r.K}
	for _, p := range keep {
		out.IDs = append(out.IDs, r.IDs[p*r.K:(p+1)*r.K]...)
		out.LogProbs = append(out.LogProbs, r.LogProbs[p*r.K:(p+1)*r.K]...)
	}
	return out
}
