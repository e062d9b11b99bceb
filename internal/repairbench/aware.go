package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/repair"
	"github.com/ggufprune/ggufprune/search"
)

// awareTokens are what the search that knows of repair fits and scores on: three quarters and one.
const awareTokens = 12288

// aware sets the search that knows of repair against fast, with and without a repair behind it, at equal numbers of blocks.
func (r *rig) aware(ctx context.Context) error {
	path := strings.Split(r.models, ",")[0]
	plain, repaired := map[int][]float64{}, map[int][]float64{}
	for seed := uint64(1); seed <= uint64(r.seeds); seed++ {
		fast, err := r.order(ctx, path, seed, maxOf(r.blocks))
		if err != nil {
			return err
		}
		knowing, err := r.awareOrder(ctx, path, seed)
		if err != nil {
			return err
		}
		for _, n := range numbers(r.blocks) {
			before, after, err := r.judgeRepaired(ctx, path, seed, blockmask.New(fast[:n]...))
			if err != nil {
				return err
			}
			_, best, err := r.judgeRepaired(ctx, path, seed, blockmask.New(knowing[:n]...))
			if err != nil {
				return err
			}
			fmt.Printf("seed %d, %d blocks: fast %.3f / %.3f, repaired %.3f / %.3f; aware and repaired %.3f / %.3f (%s)\n", seed, n, before.instruct,
				before.other, after.instruct, after.other, best.instruct, best.other, blockmask.New(knowing[:n]...))
			plain[n] = append(plain[n], 100*(1-best.instruct/before.instruct))
			repaired[n] = append(repaired[n], 100*(1-best.instruct/after.instruct))
		}
	}
	for n := range plain {
		r.figure(fmt.Sprintf("aware_gain_pct_%d", n), mean(plain[n]))
		r.figure(fmt.Sprintf("aware_vs_repaired_pct_%d", n), mean(repaired[n]))
	}
	return nil
}

// awareOrder is what the search that knows of repair removes.
func (r *rig) awareOrder(ctx context.Context, path string, seed uint64) ([]blockmask.Block, error) {
	o, err := r.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer o.close()
	a := &repair.Aware{Engine: o.session, Admit: repair.DefaultAdmit}
	if a.Fit, a.Held, err = repair.Batches(o.model, r.texts(), r.window, awareTokens, batchSeqs, seed); err != nil {
		return nil, err
	}
	cpu := cpuSeconds()
	order, err := steps(ctx, a, o.session.Blocks(), maxOf(r.blocks))
	fmt.Printf("seed %d: the search that knows of repair took %.0f CPU s\n", seed, cpuSeconds()-cpu)
	return order, err
}

// steps runs a strategy until n blocks are gone.
func steps(ctx context.Context, s search.Strategy, blocks []blockmask.Block, n int) ([]blockmask.Block, error) {
	m := &search.Model{Blocks: blocks, Params: map[blockmask.Block]uint64{}, Size: func(blockmask.Mask) (int64, error) { return 0, nil }}
	for _, b := range blocks {
		m.Params[b] = 1
		m.Total++
	}
	res, err := search.Run(ctx, s, m, blockmask.Mix, search.Goal{Blocks: n}, nil)
	if err != nil {
		return nil, err
	}
	var order []blockmask.Block
	for _, step := range res.Steps {
		order = append(order, step.Removed...)
	}
	return order, nil
}

// judgeRepaired judges a mask as it is, and repaired.
func (r *rig) judgeRepaired(ctx context.Context, path string, seed uint64, mask blockmask.Mask) (before, after judged, err error) {
	o, err := r.open(ctx, path)
	if err != nil {
		return before, after, err
	}
	defer o.close()
	if before, err = o.judge(ctx, mask); err != nil {
		return before, after, err
	}
	fit, held, err := repair.Batches(o.model, r.texts(), r.window, r.tokens, batchSeqs, seed)
	if err != nil {
		return before, after, err
	}
	if _, err = repair.Run(ctx, o.session, o.weights, repair.Request{Removed: mask, Method: repair.Auto, Fit: fit, Held: held}); err != nil {
		return before, after, err
	}
	after, err = o.judge(ctx, mask)
	return before, after, err
}
