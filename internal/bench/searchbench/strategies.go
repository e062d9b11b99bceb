package searchbench

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// strategies puts every strategy and baseline into one table, on one calibration sample.
func strategies(ctx context.Context, r *rig) error {
	file, err := gguf.Open(r.options.model)
	if err != nil {
		return err
	}
	defer file.Close()
	norms := find.WeightNorm(ctx, llamabind.Runtime{}, file, r.session.Weights)
	bi := func(ctx context.Context) (engine.Influence, error) { return influence(ctx, r) }
	rows := []struct {
		name string
		unit blockmask.Unit
		make func(*search.Ledger) search.Strategy
	}{
		{"greedy (BlockPruner)", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.Greedy{Scorer: l} }},
		{"fast", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.NewFast(l, 1) }},
		{"fast, layers (SLEB)", blockmask.Whole, func(l *search.Ledger) search.Strategy { return strategy.NewFast(l, 1) }},
		{"fast, pairs", blockmask.Pairs, func(l *search.Ledger) search.Strategy { return strategy.NewFast(l, 1) }},
		{"oneshot", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.Oneshot(l) }},
		{"bi", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.BI(l, bi) }},
		{"bi, layers (ShortGPT)", blockmask.Whole, func(l *search.Ledger) search.Strategy { return strategy.BI(l, bi) }},
		{"magnitude", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.Magnitude(l, norms) }},
		{"random", blockmask.Mix, func(l *search.Ledger) search.Strategy { return strategy.Random(l, 1) }},
	}
	fmt.Printf("%-22s %6s  %-11s %-9s %-8s  %s\n", "", "blocks", "calibration", "held-out", "KLD", "cost, CPU s")
	best := map[int]float64{}
	var behind []string
	for i, row := range rows {
		l, err := r.ledger(ctx, perplexity.NLL, r.n, 1, nil)
		if err != nil {
			return err
		}
		f, err := r.search(ctx, l, row.make(l), row.unit, 8)
		if err != nil {
			fmt.Printf("%-22s %v\n", row.name, err)
			continue
		}
		for _, k := range []int{4, 6, 8} {
			m := f.mask(k)
			calib, _, err := l.Score(ctx, m, nil)
			if err != nil {
				return err
			}
			ppl, kld, err := r.heldOutBoth(ctx, m)
			if err != nil {
				return err
			}
			cost := ""
			if k == 8 {
				cost = fmt.Sprintf("%.4f %6.0f", f.cost, f.cpu)
			}
			fmt.Printf("%-22s %6d  %-11.4f %-9.4f %-8.4f  %s\n", row.name, len(m), calib, ppl, kld, cost)
			if i == 0 {
				best[k] = ppl
			} else if ppl < best[k] && i > 3 {
				behind = append(behind, fmt.Sprintf("%s at %d", row.name, k))
			}
		}
	}
	if len(behind) > 0 {
		fmt.Printf("BlockPruner's order does not beat: %v\n", behind)
	} else {
		fmt.Println("BlockPruner's order beats every baseline at 4, 6 and 8 blocks.")
	}
	return nil
}

// influence measures Block Influence on the first calibration sample.
func influence(ctx context.Context, r *rig) (engine.Influence, error) {
	set, err := r.set(ctx, perplexity.NLL, r.n, 1)
	if err != nil {
		return engine.Influence{}, err
	}
	return find.Influence(ctx, r.session, set)
}
