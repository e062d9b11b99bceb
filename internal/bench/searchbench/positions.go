package searchbench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// contenders is how many candidates of a step are compared with its winner: those that a race has to tell apart.
const contenders = 6

// positions measures whether races would gain from scoring only some positions of each sequence: how much of the variance of what they
// compare is between sequences, and how much is of the positions within one.
//
// With half of the positions scored, drawn at random, a sequence's mean is off from that of all by a variance of
// within*(1/part - 1), where within is the variance of the mean over all positions; what is left of the variance over
// sequences is between.
func positions(ctx context.Context, r *rig) error {
	for _, metric := range []perplexity.Metric{perplexity.NLL, perplexity.KLD} {
		if err := positionsOf(ctx, r, metric); err != nil {
			return err
		}
	}
	return nil
}

func positionsOf(ctx context.Context, r *rig, metric perplexity.Metric) error {
	const part = .5
	var raw, told []float64
	for seed := uint64(r.from); seed < uint64(r.from+r.seeds); seed++ {
		l, greedy, err := r.greedy(ctx, seed)
		if err != nil {
			return err
		}
		set, err := r.set(ctx, metric, r.n, seed)
		if err != nil {
			return err
		}
		if metric != perplexity.NLL { // the same steps, so that the two can be compared
			if l, err = r.ledgerOf(ctx, set, nil); err != nil {
				return err
			}
		}
		thin, err := r.ledgerOf(ctx, thinned(set, part, seed), nil)
		if err != nil {
			return err
		}
		a, b, err := shares(ctx, r, l, thin, greedy, part)
		if err != nil {
			return err
		}
		raw, told = append(raw, a...), append(told, b...)
	}
	ratio := measure.Median(told)
	r.figure(fmt.Sprintf("positions_within_by_between_%s", metric), measure.Median(raw))
	r.figure(fmt.Sprintf("positions_within_by_between_%s_foretold", metric), ratio)
	for _, head := range []float64{.22, .32, .5} {
		part, gain := bestPart(head, ratio)
		fmt.Printf("%s, a head of %.0f%% of a pass: with %.0f%% of the positions a race costs %.1f%% less\n", metric, 100*head, 100*part, 100*gain)
	}
	return nil
}

// bestPart returns which part of the positions to score, and what that saves of a race of the same precision: a candidate runs half of the
// blocks and the head, and what it costs times the variance of the mean is to be least.
func bestPart(head, ratio float64) (part, gain float64) {
	blocks := (1 - head) / 2
	part = leastPart(blocks, head, 1, ratio)
	return part, 1 - (blocks+part*head)*(1+ratio/part)/((blocks+head)*(1+ratio))
}

// shares returns within / between of the differences that a race looks at: as they are, and less those of the step before.
func shares(ctx context.Context, r *rig, full, thin *search.Ledger, greedy found, part float64) (raw, told []float64, err error) {
	all := full.Sequences()
	var removed, before blockmask.Mask
	for i, step := range greedy.steps {
		scored := slices.Clone(step.Candidates)
		slices.SortStableFunc(scored, func(a, b search.Candidate) int { return cmp.Compare(a.Score, b.Score) })
		scored = scored[:min(len(scored), contenders+1)]
		var cands []blockmask.Mask
		for _, c := range scored {
			cands = append(cands, c.Mask)
		}
		for _, l := range []*search.Ledger{full, thin} {
			if err := l.Measure(ctx, all, removed, cands, false); err != nil {
				return nil, nil, err
			}
			if i > 0 {
				if err := l.Measure(ctx, all, before, cands, false); err != nil {
					return nil, nil, err
				}
			}
		}
		for _, c := range cands[1:] {
			diff := func(l *search.Ledger, at blockmask.Mask) []float64 {
				x, y := l.Means(all, at.Union(c)), l.Means(all, at.Union(cands[0]))
				for j := range x {
					x[j] -= y[j]
				}
				return x
			}
			f, t := diff(full, removed), diff(thin, removed)
			raw = append(raw, ratio(f, t, part))
			if i > 0 {
				pf, pt := diff(full, before), diff(thin, before)
				told = append(told, ratio(minus(f, pf), minus(t, pt), part))
			}
		}
		fmt.Printf("step %d: within / between %.2f, less what was foretold %.2f\n", i+1,
			measure.Median(raw[len(raw)-len(cands)+1:]), measure.Median(told[max(0, len(told)-len(cands)+1):]))
		before, removed = removed, removed.Union(step.Removed)
	}
	return raw, told, nil
}

// ratio returns within / between of values on whole sequences and on a part of their positions.
func ratio(full, thin []float64, part float64) float64 {
	within := 0.0
	for _, d := range minus(thin, full) {
		within += d * d / float64(len(full)) / (1/part - 1)
	}
	return within / (variance(full) - within)
}
