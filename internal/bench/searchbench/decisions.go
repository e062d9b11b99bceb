package searchbench

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// decisions compares fast with greedy on several samples of the calibration text, step by step.
func decisions(ctx context.Context, r *rig) error {
	const blocks = refineBlocks
	var greedyCost, fastCost, gap, agree, behind []float64
	differing := 0
	for seed := uint64(r.from); seed < uint64(r.from+r.seeds); seed++ {
		l, greedy, err := r.greedy(ctx, seed)
		if err != nil {
			return err
		}
		as, by, err := alongside(ctx, r, l, seed, greedy)
		if err != nil {
			return err
		}
		agree, behind = append(agree, as), append(behind, by)
		// A ledger of its own: what greedy has measured would be free.
		if l, err = r.ledger(ctx, perplexity.NLL, r.n, seed, nil); err != nil {
			return err
		}
		fast, err := r.search(ctx, l, strategy.NewFast(l, seed), blockmask.Mix, blocks)
		if err != nil {
			return err
		}
		n, err := stepByStep(ctx, r, seed, greedy, fast)
		if err != nil {
			return err
		}
		differing += n
		g, err := r.heldOutPPL(ctx, greedy.mask(blocks))
		if err != nil {
			return err
		}
		f, err := r.heldOutPPL(ctx, fast.mask(blocks))
		if err != nil {
			return err
		}
		fmt.Printf("seed %d: held-out PPL at %d blocks: greedy %.4f, fast %.4f (%+.2f%%); cost %.4f and %.4f, CPU s %.0f and %.0f\n  %v\n",
			seed, blocks, g, f, 100*(f/g-1), greedy.cost, fast.cost, greedy.cpu, fast.cpu, fast.audit)
		greedyCost, fastCost, gap = append(greedyCost, greedy.cost), append(fastCost, fast.cost), append(gap, 100*(f/g-1))
	}
	r.figure("fast_step_agreement_pct", mean(agree))
	r.figure("fast_step_behind_pct", mean(behind))
	r.figure("greedy_cost", worst(greedyCost))
	r.figure("fast_cost", worst(fastCost))
	r.figure("fast_heldout_gap_pct", worst(gap))
	r.figure("fast_heldout_gap_pct_mean", mean(gap))
	r.figure("fast_steps_differing", float64(differing)/float64(r.seeds))
	return nil
}

// orders is how many orders of the sequences alongside draws.
const orders = 20

// alongside lets fast decide at each of greedy's steps, over many orders of the sequences, and returns in how many of a hundred it
// removes the same block, and by how many percent the perplexity of what it removes is above greedy's, on the whole set. All that it
// asks for is in greedy's ledger; it knows what it has asked for and no more. In a search of its own, one near tie decides what all
// later steps are about; here the steps count alike. Where it would have chosen otherwise it does not know the loss of greedy's mask,
// on which the next step stands, as it would of its own: so what earlier steps foretold helps it a little less here.
func alongside(ctx context.Context, r *rig, l *search.Ledger, sample uint64, greedy found) (agree, behind float64, err error) {
	set, err := r.set(ctx, perplexity.NLL, r.n, sample)
	if err != nil {
		return 0, 0, err
	}
	v, err := perplexity.NewEvaluator(r.session, set)
	if err != nil {
		return 0, 0, err
	}
	n := float64(orders*len(greedy.steps)) / 100
	for seed := range uint64(orders) {
		f := strategy.NewFast(search.NewLedger(recorded{v, l}, search.Cost{Blocks: r.session.Blocks()}, nil, ""), seed)
		var removed blockmask.Mask
		for _, step := range greedy.steps {
			var cands []blockmask.Mask
			score := map[string]float64{}
			for _, c := range step.Candidates {
				cands = append(cands, c.Mask)
				score[c.Mask.String()] = c.Score
			}
			c, err := f.Choose(ctx, removed, cands)
			if err != nil {
				return 0, 0, err
			}
			got := c.Scored[c.Best].Mask
			if got.Equal(step.Removed) {
				agree += 1 / n
			}
			behind += 100 * (score[got.String()]/step.Score - 1) / (100 * n)
			removed = removed.Union(step.Removed)
		}
	}
	fmt.Printf("at greedy's steps, over %d orders of the sequences: the same block in %.0f%%, by %.3f%% behind\n", orders, agree, behind)
	return agree, behind, nil
}

// stepByStep prints both orders and returns in how many steps they remove another block. The score behind fast's is measured on the
// whole set.
func stepByStep(ctx context.Context, r *rig, seed uint64, greedy, fast found) (differing int, err error) {
	l, err := r.ledger(ctx, perplexity.NLL, r.n, seed, nil)
	if err != nil {
		return 0, err
	}
	for i := range greedy.steps {
		g, f := greedy.steps[i], fast.steps[i]
		note := ""
		if !g.Removed.Equal(f.Removed) {
			differing++
			note = "*"
		}
		score, _, err := l.Score(ctx, fast.mask(i+1), nil)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  step %d: greedy %-7s PPL %.4f   fast %-7s PPL %.4f (%+.2f%%; told %.4f) %s\n",
			i+1, g.Removed, g.Score, f.Removed, score, 100*(score/g.Score-1), f.Score, note)
	}
	return differing, nil
}
