package searchbench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// exhaustive finds the best mask of 4 blocks among all of them, and says how far the strategies are from it.
//
// All masks run on two sequences; the better part of them goes on to more (rounds), and what is left sees the whole set. A mask that
// is the best on the whole set would have to be behind two hundred others on eight sequences to be missed.
func exhaustive(ctx context.Context, r *rig) error {
	const blocks = 4
	l, err := r.ledger(ctx, perplexity.NLL, r.n, 1, nil)
	if err != nil {
		return err
	}
	all := l.Sequences()
	masks := subsets(r.session.Blocks(), blocks)
	fmt.Printf("%d masks of %d blocks\n", len(masks), blocks)
	cpu := machine.CPUSeconds()
	for _, round := range []struct{ sequences, keep int }{{2, 1000}, {8, 200}, {24, 30}, {len(all), 1}} {
		which := all[:min(round.sequences, len(all))]
		scores, err := scoreMasks(ctx, l, which, masks)
		if err != nil {
			return err
		}
		slices.SortStableFunc(masks, func(a, b blockmask.Mask) int { return cmp.Compare(scores[a.String()], scores[b.String()]) })
		masks = masks[:min(len(masks), round.keep)]
		fmt.Printf("  on %d sequences: the best is %s with PPL %.4f\n", len(which), masks[0], scores[masks[0].String()])
	}
	best, _, err := l.Score(ctx, masks[0], nil)
	if err != nil {
		return err
	}
	fmt.Printf("  CPU s %.0f\n", machine.CPUSeconds()-cpu)
	return fromOptimum(ctx, r, masks[0], best)
}

// fromOptimum prints how far greedy, fast and refine are from the optimum, on the same calibration sample.
func fromOptimum(ctx context.Context, r *rig, optimum blockmask.Mask, best float64) error {
	heldOut, err := r.heldOutPPL(ctx, optimum)
	if err != nil {
		return err
	}
	fmt.Printf("%-8s %-32s calibration PPL %.4f, held-out %.4f\n", "optimum", optimum, best, heldOut)
	for _, name := range []string{"greedy", "fast", "refine"} {
		l, err := r.ledger(ctx, perplexity.NLL, r.n, 1, nil)
		if err != nil {
			return err
		}
		var f found
		switch name {
		case "greedy":
			f, err = r.search(ctx, l, strategy.Greedy{Scorer: l}, blockmask.Mix, len(optimum))
		case "fast":
			f, err = r.search(ctx, l, strategy.NewFast(l, 1), blockmask.Mix, len(optimum))
		default:
			f, err = r.refined(ctx, l, 1, len(optimum))
		}
		if err != nil {
			return err
		}
		m := f.mask(len(optimum))
		score, _, err := l.Score(ctx, m, nil)
		if err != nil {
			return err
		}
		ppl, err := r.heldOutPPL(ctx, m)
		if err != nil {
			return err
		}
		fmt.Printf("%-8s %-32s calibration PPL %.4f (%+.2f%%), held-out %.4f (%+.2f%%)\n",
			name, m, score, 100*(score/best-1), ppl, 100*(ppl/heldOut-1))
		r.figure(name+"_from_optimum_pct_4", 100*(score/best-1))
	}
	return nil
}

// scoreMasks measures masks. Those that share all but their last two blocks share a run up to there.
func scoreMasks(ctx context.Context, l *search.Ledger, which []int, masks []blockmask.Mask) (map[string]float64, error) {
	groups := map[string][]blockmask.Mask{}
	var order []blockmask.Mask
	for _, m := range masks {
		head := m[:len(m)-2]
		if groups[head.String()] == nil {
			order = append(order, head)
		}
		groups[head.String()] = append(groups[head.String()], m[len(m)-2:])
	}
	scores := map[string]float64{}
	for _, head := range order {
		tails := groups[head.String()]
		_, got, err := l.ScoreOn(ctx, which, head, tails, false)
		if err != nil {
			return nil, err
		}
		for i, tail := range tails {
			scores[head.Union(tail).String()] = got[i]
		}
	}
	return scores, nil
}

// subsets returns all masks of k of the blocks.
func subsets(blocks []blockmask.Block, k int) []blockmask.Mask {
	if k == 0 {
		return []blockmask.Mask{nil}
	}
	var out []blockmask.Mask
	for i, b := range blocks {
		for _, rest := range subsets(blocks[i+1:], k-1) {
			out = append(out, rest.With(b))
		}
	}
	return out
}
