package strategy

// Refine improves a mask at a fixed amount removed.
//
// Greedy never takes a step back, and its masks are not optimal; at high ratios they are far from it (EvoPress, arXiv 2410.14649). But
// exchanging one block for another rarely helps, since greedy has just chosen both. Exchanges of two or three do, and there are
// thousands of them. So each generation
//
//  1. measures on a few sequences what putting back each removed unit would gain and what removing each other unit would cost,
//     if the parent is new,
//  2. orders all exchanges of one to three units by cost less gain, as if these added up, which they do well enough to say
//     where to look (swaps.go), and takes the first that were not tried yet and some at random,
//  3. lets them race (package race) against each other and the parent on the search half,
//  4. and accepts the winner if it has the lower score on the whole search half and on the validation half, too.
//
// The validation half is text that no decision before used, neither here nor in the search that made the start: with so many
// trials, something will be better by chance on the text that it is chosen on. So the result is never worse than the start on the
// validation half. It ends after a number of generations without success or when its cost is used up.
//
// The removed blocks are then put in an order of their own ([RunRefine]), so that the plan is nested like any other.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/race"
)

// Refine is one improvement of a mask.
type Refine struct {
	Ledger *search.Ledger
	Model  *search.Model
	Unit   blockmask.Unit
	Goal   search.Goal // masks must reach it; of a number of blocks or a bound of quality, they remove as much as the start
	Rule   race.Rule
	Seed   uint64

	Search, Validation []int // the halves of the calibration set: see Halves

	Children int     // of a generation; 0 is 16
	Patience int     // generations without success; 0 is 6
	MaxCost  float64 // in block-tokens; 0 is no limit

	on    func(search.Event)
	rng   *rand.Rand
	tried map[string]bool
}

// RefineShare is what refinement should cost at most, as a part of the paper's procedure: with fast on one half of the text, and the
// order of the result on the whole, it stays below a quarter.
const RefineShare = 0.11

// Halves splits n sequences at random, the same way for the same seed, into one half to search on and one to validate on, each in
// ascending order. The search half has the odd one.
func Halves(n int, seed uint64) (search, validation []int) {
	order := rand.New(rand.NewPCG(seed, 0x68616c66)).Perm(n)
	search, validation = order[:(n+1)/2], order[(n+1)/2:]
	slices.Sort(search)
	slices.Sort(validation)
	return search, validation
}

// Draw returns k of n sequences at random, the same ones for the same seed, in ascending order.
func Draw(n, k int, seed uint64) []int {
	order := rand.New(rand.NewPCG(seed, 0x64726177)).Perm(n)[:min(k, n)]
	slices.Sort(order)
	return order
}

// Improve returns a mask that is at least as good as start on both halves.
func (r *Refine) Improve(ctx context.Context, start blockmask.Mask) (*search.Refined, error) {
	if len(r.Search) == 0 || len(r.Validation) == 0 {
		return nil, fmt.Errorf("refining needs at least two sequences of calibration text")
	}
	if err := start.WholeBlocks(); err != nil {
		return nil, err
	}
	r.rng = rand.New(rand.NewPCG(r.Seed, 0x7265666e))
	r.tried = map[string]bool{start.Key(): true}
	spent := r.Ledger.Spent()
	out := &search.Refined{Start: start, Mask: start}
	var err error
	if out.StartScore, err = r.score(ctx, r.Search, start); err != nil {
		return nil, err
	}
	if out.StartValidation, err = r.score(ctx, r.Validation, start); err != nil {
		return nil, err
	}
	out.Score, out.Validation = out.StartScore, out.StartValidation
	patience := r.Patience
	if patience == 0 {
		patience = 6
	}
	var moves *swaps
	for failed := 0; failed < patience; failed++ {
		if r.MaxCost > 0 && r.Ledger.Spent()-spent >= r.MaxCost {
			break
		}
		if moves == nil {
			if moves, err = r.newSwaps(ctx, out.Mask, start); err != nil {
				return nil, err
			}
		}
		children := r.children(moves)
		if len(children) == 0 {
			break
		}
		accepted, err := r.generation(ctx, out, children)
		if err != nil {
			return nil, err
		}
		out.Generations++
		out.Children += len(children)
		if accepted {
			failed, moves = -1, nil
		}
		out.Cost = r.Ledger.Spent() - spent
		r.tell(search.Refining{Refined: *out})
	}
	out.Cost = r.Ledger.Spent() - spent
	return out, nil
}

func (r *Refine) tell(e search.Event) {
	if r.on != nil {
		r.on(e)
	}
}

func (r *Refine) score(ctx context.Context, which []int, m blockmask.Mask) (float64, error) {
	score, _, err := r.Ledger.ScoreOn(ctx, which, m, nil, true)
	return score, err
}

// generation races children against the mask so far and takes the winner over if it is better on both halves.
func (r *Refine) generation(ctx context.Context, out *search.Refined, children []blockmask.Mask) (accepted bool, err error) {
	arms := append([]blockmask.Mask{out.Mask}, children...)
	common := arms[0]
	for _, m := range arms[1:] {
		common = common.Without(common.Without(m.Blocks()...).Blocks()...)
	}
	rest := make([]blockmask.Mask, len(arms))
	for i, m := range arms {
		rest[i] = m.Without(common.Blocks()...)
	}
	order := r.rng.Perm(len(r.Search))
	for i, k := range order {
		order[i] = r.Search[k]
	}
	contest := race.New(r.Rule, len(order), len(arms))
	win, err := contest.Run(func(alive []int, from, to int) ([][]float64, error) {
		return measureArms(ctx, r.Ledger, common, rest, alive, order[from:to])
	})
	if err != nil || win == 0 {
		return false, err
	}
	score, err := r.score(ctx, r.Search, arms[win])
	if err != nil || !(score < out.Score) {
		return false, err
	}
	validation, err := r.score(ctx, r.Validation, arms[win])
	if err != nil {
		return false, err
	}
	if !(validation < out.Validation) {
		out.Rejected++
		return false, nil
	}
	out.Mask, out.Score, out.Validation = arms[win], score, validation
	out.Accepted++
	return true, nil
}
