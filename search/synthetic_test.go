package search

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
)

var _ Scorer = (*perplexity.Evaluator)(nil)

// synthetic scores masks by any function of the mask, and counts.
type synthetic struct {
	score func(blockmask.Mask) float64
	calls int // of Score
	evals int // masks scored, without bases
	fail  error
	after func(calls int)
}

func (s *synthetic) Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (float64, []float64, error) {
	s.calls++
	if s.after != nil {
		s.after(s.calls)
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if s.fail != nil {
		return 0, nil, s.fail
	}
	var out []float64
	for _, c := range candidates {
		s.evals++
		out = append(out, s.score(removed.Union(c)))
	}
	return s.score(removed), out, nil
}

// hashed is a landscape without structure: every mask has a score of its own, drawn from few values so that ties are common.
func hashed(seed uint64, values int) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, m.String())
		return 5 + float64(h.Sum64()%uint64(values))
	}
}

// costs is an additive landscape: 5 plus each removed block's cost; blocks without cost are free.
func costs(of map[string]float64) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		total := 5.0
		for _, b := range m {
			total += of[b.String()]
		}
		return total
	}
}

// plainModel has n layers of a mixer with 100 and an FFN with 300 parameters, and 1000 more outside its blocks.
func plainModel(n int) *Model {
	m := &Model{Params: map[blockmask.Block]uint64{}, Total: 1000}
	for i := range n {
		for kind, params := range map[blockmask.Kind]uint64{blockmask.Mixer: 100, blockmask.FFN: 300} {
			b := blockmask.Block{Layer: i, Kind: kind}
			m.Params[b] = params
			m.Total += params
			m.Blocks = append(m.Blocks, b)
		}
	}
	m.Blocks = blockmask.New(m.Blocks...).Blocks()
	m.Size = func(removed blockmask.Mask) (int64, error) { return 64 + 2*int64(m.Total-m.ParamsOf(removed)), nil }
	return m
}

func mask(t testing.TB, s string) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func order(r *Result) string {
	s := ""
	for _, step := range r.Steps {
		s += step.Removed.String() + " "
	}
	return s
}

var errEngine = errors.New("engine fell over")

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
