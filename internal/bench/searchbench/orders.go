package searchbench

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// ordersOfSample is how many searches of fast are compared with greedy's on each sample; they take its sequences in other orders.
const ordersOfSample = 3

// ordersApart tells what fast's result owes to luck: by how much it is above greedy's, over several orders of each sample's sequences.
func ordersApart(ctx context.Context, r *rig) error {
	var calib, heldOut, costs []float64
	for sample := uint64(r.from); sample < uint64(r.from+r.seeds); sample++ {
		_, greedy, err := r.greedy(ctx, sample)
		if err != nil {
			return err
		}
		g, err := r.heldOutPPL(ctx, greedy.mask(refineBlocks))
		if err != nil {
			return err
		}
		for k := range uint64(ordersOfSample) {
			l, err := r.ledger(ctx, perplexity.NLL, r.n, sample, nil)
			if err != nil {
				return err
			}
			fast, err := r.search(ctx, l, strategy.NewFast(l, sample+100*k), blockmask.Mix, refineBlocks)
			if err != nil {
				return err
			}
			f, err := r.heldOutPPL(ctx, fast.mask(refineBlocks))
			if err != nil {
				return err
			}
			c := 100 * (fast.steps[refineBlocks-1].Score/greedy.steps[refineBlocks-1].Score - 1)
			h := 100 * (f/g - 1)
			fmt.Printf("sample %d, order %d: above greedy by %+.2f%% on the calibration, by %+.2f%% on held-out text; cost %.4f\n", sample, k+1, c, h, fast.cost)
			calib, heldOut, costs = append(calib, c), append(heldOut, h), append(costs, fast.cost)
		}
	}
	r.figure("fast_orders_calib_gap_pct_mean", mean(calib))
	r.figure("fast_orders_heldout_gap_pct_mean", mean(heldOut))
	r.figure("fast_orders_heldout_gap_pct_worst", worst(heldOut))
	r.figure("fast_orders_cost_worst", worst(costs))
	return nil
}
