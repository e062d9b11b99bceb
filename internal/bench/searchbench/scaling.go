package searchbench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// scaling shows fast's cost over the number of sequences on the model, and over depth on planted landscapes: there is no trained model of
// other depths here, and random weights have nothing to find.
func scaling(ctx context.Context, r *rig) error {
	fmt.Println("8 blocks of this model:")
	for _, n := range []int{16, 64, 256} {
		l, err := r.ledger(ctx, perplexity.NLL, n, 1, nil)
		if err != nil {
			return err
		}
		f, err := r.search(ctx, l, strategy.NewFast(l, 1), blockmask.Mix, 8)
		if err != nil {
			return err
		}
		fmt.Printf("  %3d sequences: cost %.4f, CPU s %.0f\n", len(l.Sequences()), f.cost, f.cpu)
	}
	fmt.Println("a third of the blocks of planted landscapes (a redundant third, the noise of this model), 64 sequences:")
	for _, layers := range []int{12, 24, 32} {
		cost, behind, err := planted(ctx, layers, 64)
		if err != nil {
			return err
		}
		fmt.Printf("  %d layers: cost %.4f, %.4f nats behind greedy\n", layers, cost, behind)
		r.figure(fmt.Sprintf("fast_cost_%d_layers", layers), cost)
	}
	return nil
}

// landscape is a model that is not there: every block has a price, a third of them a small one, blocks that are removed together cost
// a little more, and each sequence deviates by noise of its own.
type landscape struct {
	blocks []blockmask.Block
	price  map[blockmask.Block]float64
	n      int
}

const (
	noise      = 0.02 // nats: standard deviation of a sequence's difference between two masks, as measured on the tiny model
	seqTokens  = 256
	togetherBy = 0.003
)

func (s *landscape) loss(seq int, m blockmask.Mask) float64 {
	sum := 2.0
	for _, b := range m.Blocks() {
		sum += s.price[b]
	}
	sum += togetherBy * float64(len(m)*(len(m)-1)/2)
	var h uint64 = 14695981039346656037
	for _, b := range m.Blocks() {
		h = (h ^ uint64(b.Layer*2+int(b.Kind)+1)) * 1099511628211
	}
	return sum + noise/math.Sqrt2*rand.New(rand.NewPCG(h, uint64(seq))).NormFloat64()
}

func (s *landscape) Sequences() int                { return s.n }
func (s *landscape) Size(int) (tokens, scored int) { return seqTokens, seqTokens - 1 }
func (s *landscape) Branches() bool                { return true }
func (s *landscape) OfMean(mean float64) float64   { return math.Exp(mean) }
func (s *landscape) Known() (float64, bool)        { return 0, false }

func (s *landscape) Batches(which []int) ([][]int, error) {
	return slices.Collect(slices.Chunk(which, batchSeqs)), nil
}

func (s *landscape) Fold(_ []int, losses []float64) float64 {
	return math.Exp(mean(losses) / (seqTokens - 1))
}

func (s *landscape) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	return eachMask(removed, candidates, base, func(i int, m blockmask.Mask) error {
		losses := make([]float64, len(batch))
		for j, seq := range batch {
			losses[j] = s.loss(seq, m) * (seqTokens - 1)
		}
		return got(i, losses)
	})
}

// planted returns what fast costs on a landscape, as a part of the paper's cost, and how many nats its mask is behind greedy's.
func planted(ctx context.Context, layers, n int) (cost, behind float64, err error) {
	rng := rand.New(rand.NewPCG(uint64(layers), 3))
	s := &landscape{price: map[blockmask.Block]float64{}, n: n}
	m := &search.Model{Params: map[blockmask.Block]uint64{}, Total: uint64(2*layers) + 1}
	for i := range layers {
		for _, kind := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			b := blockmask.Block{Layer: i, Kind: kind}
			s.blocks = append(s.blocks, b)
			m.Params[b] = 1
			s.price[b] = 0.05 + 0.4*rng.Float64()
			if rng.IntN(3) == 0 {
				s.price[b] = 0.01 + 0.04*rng.Float64()
			}
		}
	}
	m.Blocks = s.blocks
	goal := search.Goal{Blocks: 2 * layers / 3}
	run := func(greedy bool) (*search.Result, *search.Ledger, error) {
		l := search.NewLedger(s, search.Cost{Blocks: s.blocks, Head: 3}, nil, "")
		var chosen search.Strategy = strategy.Greedy{Scorer: l}
		if !greedy {
			chosen = strategy.NewFast(l, 1)
		}
		res, err := search.Run(ctx, chosen, m, blockmask.Mix, goal, nil)
		return res, l, err
	}
	greedy, _, err := run(true)
	if err != nil {
		return 0, 0, err
	}
	fast, l, err := run(false)
	if err != nil {
		return 0, 0, err
	}
	paper := 0.0
	for _, step := range fast.Steps {
		paper += step.PaperCost
	}
	last := len(fast.Steps) - 1
	return l.Spent() / paper, math.Log(fast.Steps[last].Score / greedy.Steps[last].Score), nil
}
