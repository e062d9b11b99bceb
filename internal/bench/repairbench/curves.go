package repairbench

import (
	"context"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
)

// curves are how perplexity grows with what is removed: greedy, greedy and a repair, the search that knows of repair and a repair.
func curves(ctx context.Context, r *rig) error {
	path := strings.Split(r.models, ",")[0]
	greedy, err := r.mixedOrder(ctx, path, r.from, "greedy")
	if err != nil {
		return err
	}
	knowing, err := r.mixedOrder(ctx, path, r.from, "aware")
	if err != nil {
		return err
	}
	fmt.Println("blocks | parameters gone, greedy | greedy | repaired | parameters gone, aware | aware, repaired")
	for _, n := range numbers(r.curve) {
		a, err := r.judgeRepaired(ctx, path, r.from, blockmask.New(greedy[:n]...), fit.Auto)
		if err != nil {
			return err
		}
		b, err := r.judgeRepaired(ctx, path, r.from, blockmask.New(knowing[:n]...), fit.Auto)
		if err != nil {
			return err
		}
		fmt.Printf("%d | %.1f%% | %.3f / %.3f | %.3f / %.3f | %.1f%% | %.3f / %.3f\n", n, 100*a.gone, a.before.instruct, a.before.other,
			a.after.instruct, a.after.other, 100*b.gone, b.after.instruct, b.after.other)
	}
	return nil
}
