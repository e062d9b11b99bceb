package repairbench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
)

// aware sets the search that knows of repair against others that are calibrated on the same tokens, with and without a repair behind
// them, at equal numbers of blocks and, between those, at equal parameters.
func aware(ctx context.Context, r *rig) error {
	path := strings.Split(r.models, ",")[0]
	gain, ahead := map[string][]float64{}, map[string][]float64{}
	for seed := r.from; seed < r.from+uint64(r.seeds); seed++ {
		results := map[string][]outcome{}
		for _, name := range strings.Split(r.strategies, ",") {
			order, err := r.mixedOrder(ctx, path, seed, name)
			if err != nil {
				return err
			}
			for _, n := range numbers(r.blocks) {
				got, err := r.judgeRepaired(ctx, path, seed, blockmask.New(order[:n]...), fit.Auto)
				if err != nil {
					return err
				}
				results[name] = append(results[name], got)
				fmt.Printf("sample %d, %d blocks, %s: %.1f%% of the parameters gone; %.3f / %.3f, repaired %.3f / %.3f; %s\n", seed, n, name,
					100*got.gone, got.before.instruct, got.before.other, got.after.instruct, got.after.other, blockmask.New(order[:n]...))
			}
		}
		greedy, aware := results["greedy"], results["aware"]
		if greedy == nil || aware == nil {
			continue
		}
		for i, n := range numbers(r.blocks) {
			key := strconv.Itoa(n)
			gain[key] = append(gain[key], 100*(1-aware[i].after.instruct/greedy[i].before.instruct))
			ahead[key] = append(ahead[key], 100*(1-aware[i].after.instruct/greedy[i].after.instruct))
			instruct, other, ok := at(greedy, aware[i].gone)
			if !ok {
				continue
			}
			a, b := 100*(1-aware[i].after.instruct/instruct), 100*(1-aware[i].after.other/other)
			fmt.Printf("sample %d, %d blocks: with as many parameters gone greedy and a repair have %.3f / %.3f; aware is ahead by %.1f%% / %.1f%%\n",
				seed, n, instruct, other, a, b)
			ahead[key+"_same_size"] = append(ahead[key+"_same_size"], a)
			ahead[key+"_same_size_other"] = append(ahead[key+"_same_size_other"], b)
		}
	}
	for n := range gain {
		r.figure("aware_gain_pct_"+n, mean(gain[n]))
	}
	for n := range ahead {
		r.figure("aware_vs_greedy_repaired_pct_"+n, mean(ahead[n]))
	}
	return nil
}

// at is the perplexity of a series of repaired models at a part of the parameters that are gone: between the two next to it, linear
// in the logarithm.
func at(series []outcome, gone float64) (instruct, other float64, ok bool) {
	const same = 1e-9 // of all parameters
	for i := range series {
		a := series[max(0, i-1)]
		b := series[i]
		if gone < a.gone-same || gone > b.gone+same {
			continue
		}
		w := 1.0
		if b.gone > a.gone {
			w = (gone - a.gone) / (b.gone - a.gone)
		}
		between := func(x, y float64) float64 { return math.Exp((1-w)*math.Log(x) + w*math.Log(y)) }
		return between(a.after.instruct, b.after.instruct), between(a.after.other, b.after.other), true
	}
	return 0, 0, false
}
