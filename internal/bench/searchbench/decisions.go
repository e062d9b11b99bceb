package searchbench

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// refineBlocks is the number of removed blocks at which greedy, fast and refine are compared on every sample.
const refineBlocks = 8

// greedy searches a sample with greedy, and returns the ledger, which has all that it measured.
func (r *rig) greedy(ctx context.Context, sample uint64) (*search.Ledger, found, error) {
	l, err := r.ledger(ctx, perplexity.NLL, r.n, sample, nil)
	if err != nil {
		return nil, found{}, err
	}
	f, err := r.search(ctx, l, strategy.Greedy{Scorer: l}, blockmask.Mix, refineBlocks)
	return l, f, err
}

// decisions compares fast with greedy on several samples of the calibration text, step by step.
func (r *rig) decisions(ctx context.Context) error {
	const blocks = refineBlocks
	var greedyCost, fastCost, gap, agree, behind []float64
	differing := 0
	for seed := uint64(r.from); seed < uint64(r.from+r.seeds); seed++ {
		l, greedy, err := r.greedy(ctx, seed)
		if err != nil {
			return err
		}
		as, by, err := r.alongside(ctx, l, seed, greedy)
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
		n, err := r.stepByStep(ctx, seed, greedy, fast)
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
func (r *rig) alongside(ctx context.Context, l *search.Ledger, sample uint64, greedy found) (agree, behind float64, err error) {
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

// recorded is a source whose losses a ledger has.
type recorded struct {
	search.Source
	in *search.Ledger
}

func (s recorded) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	return eachMask(removed, candidates, base, func(i int, m blockmask.Mask) error {
		losses := s.in.Means(batch, m)
		for j, seq := range batch {
			_, scored := s.Size(seq)
			losses[j] *= float64(scored)
			if math.IsNaN(losses[j]) {
				return fmt.Errorf("sequence %d without %s was not measured", seq, m)
			}
		}
		return got(i, losses)
	})
}

// eachMask calls do as search.Source.Losses says: for removed alone as -1, if base is set, and with each candidate.
func eachMask(removed blockmask.Mask, candidates []blockmask.Mask, base bool, do func(i int, m blockmask.Mask) error) error {
	if base {
		if err := do(-1, removed); err != nil {
			return err
		}
	}
	for i, c := range candidates {
		if err := do(i, removed.Union(c)); err != nil {
			return err
		}
	}
	return nil
}

// refines measures what refine wins over its start, on the same samples.
func (r *rig) refines(ctx context.Context) error {
	var costs []float64
	gains := map[int][]float64{}
	for seed := uint64(r.from); seed < uint64(r.from+r.seeds); seed++ {
		for _, k := range refineCounts(seed) {
			cost, gain, err := r.refineAt(ctx, seed, k)
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

// stepByStep prints both orders and returns in how many steps they remove another block. The score behind fast's is measured on the
// whole set.
func (r *rig) stepByStep(ctx context.Context, seed uint64, greedy, fast found) (differing int, err error) {
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

// refineAt runs refine at k blocks and returns its cost and by how much the held-out perplexity falls against its start's, in percent.
func (r *rig) refineAt(ctx context.Context, seed uint64, k int) (cost, gain float64, err error) {
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

func worst(xs []float64) float64 {
	w := math.Inf(-1)
	for _, x := range xs {
		w = max(w, x)
	}
	return w
}

func mean(xs []float64) float64 {
	s := 0.0
	for _, x := range xs {
		s += x / float64(len(xs))
	}
	return s
}
