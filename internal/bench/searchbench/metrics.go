package searchbench

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// metrics compares searches by perplexity and by KL divergence on held-out text, over samples and sizes of the calibration text.
func metrics(ctx context.Context, r *rig) error {
	names := map[perplexity.Metric]string{perplexity.NLL: "ppl", perplexity.KLD: "kld"}
	wins, all := 0, 0
	var gains []float64
	for _, n := range []int{r.n / 4, r.n} {
		for seed := uint64(1); seed <= uint64(r.seeds); seed++ {
			ppl := map[perplexity.Metric]map[int]float64{}
			for _, metric := range []perplexity.Metric{perplexity.NLL, perplexity.KLD} {
				l, err := r.ledger(ctx, metric, n, seed, nil)
				if err != nil {
					return err
				}
				f, err := r.search(ctx, l, strategy.NewFast(l, seed), blockmask.Mix, 8)
				if err != nil {
					return err
				}
				ppl[metric] = map[int]float64{}
				fmt.Printf("%d sequences, seed %d, fast by %s: held-out", n, seed, names[metric])
				for _, k := range []int{4, 6, 8} {
					p, d, err := r.heldOutBoth(ctx, f.mask(k))
					if err != nil {
						return err
					}
					ppl[metric][k] = p
					fmt.Printf("  %d: PPL %.4f KLD %.4f", k, p, d)
				}
				fmt.Printf("  cost %.4f\n", f.cost)
			}
			for _, k := range []int{4, 6, 8} {
				all++
				if ppl[perplexity.KLD][k] < ppl[perplexity.NLL][k] {
					wins++
				}
				gains = append(gains, 100*(1-ppl[perplexity.KLD][k]/ppl[perplexity.NLL][k]))
			}
		}
	}
	fmt.Printf("KL divergence gave the lower held-out perplexity in %d of %d cases, by %.2f%% on average\n", wins, all, mean(gains))
	r.figure("kld_gain_pct", mean(gains))
	r.figure("kld_wins_share", float64(wins)/float64(all))
	return nil
}
