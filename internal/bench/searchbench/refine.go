package searchbench

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ggufprune/ggufprune/perplexity"
)

// refines measures what refine wins over its start, on the same samples.
func refines(ctx context.Context, r *rig) error {
	var costs []float64
	gains := map[int][]float64{}
	for seed := uint64(r.from); seed < uint64(r.from+r.seeds); seed++ {
		for _, k := range refineCounts(seed) {
			cost, gain, err := refineAt(ctx, r, seed, k)
			if err != nil {
				return err
			}
			gains[k] = append(gains[k], gain)
			if k == refineBlocks {
				costs = append(costs, cost)
			}
		}
	}
	r.figure("refine_cost", worst(costs))
	for _, k := range slices.Sorted(maps.Keys(gains)) {
		r.figure(fmt.Sprintf("refine_gain_pct_%d", k), mean(gains[k]))
	}
	return nil
}

// refineCounts are the numbers of blocks at which refine is measured: 8 on each sample, the others on the first two.
func refineCounts(seed uint64) []int {
	if seed <= 2 {
		return []int{4, refineBlocks, 12}
	}
	return []int{refineBlocks}
}

// refineAt runs refine at k blocks and returns its cost and by how much the held-out perplexity falls against its start's, in percent.
func refineAt(ctx context.Context, r *rig, seed uint64, k int) (cost, gain float64, err error) {
	l, err := r.ledger(ctx, perplexity.NLL, r.n, seed, nil)
	if err != nil {
		return 0, 0, err
	}
	f, err := r.refined(ctx, l, seed, k)
	if err != nil {
		return 0, 0, err
	}
	before, err := r.heldOutPPL(ctx, f.refine.Start)
	if err != nil {
		return 0, 0, err
	}
	after, err := r.heldOutPPL(ctx, f.refine.Mask)
	if err != nil {
		return 0, 0, err
	}
	gain = 100 * (1 - after/before)
	fmt.Printf("seed %d: refine at %d blocks: held-out PPL %.4f -> %.4f (%.2f%% better), validation half %.4f -> %.4f, %d of %d children accepted, %d turned down; cost %.4f, CPU s %.0f\n",
		seed, k, before, after, gain, f.refine.StartValidation, f.refine.Validation, f.refine.Accepted, f.refine.Children, f.refine.Rejected, f.cost, f.cpu)
	if f.refine.Validation > f.refine.StartValidation {
		return 0, 0, fmt.Errorf("seed %d: refine is worse than fast on the validation half", seed)
	}
	return f.cost, gain, nil
}
