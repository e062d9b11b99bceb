package search

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
)

var (
	_ Source = (*perplexity.Evaluator)(nil)
	_ Scorer = (*Ledger)(nil)
)

// texts is a source of n sequences: the mean loss of a mask on each is mean(mask), a part that all masks share, what each of its blocks
// does to that text, and noise of its own. Everything is a hash, so it is the same every time.
type texts struct {
	n        int
	mean     func(blockmask.Mask) float64
	noise    float64
	lasting  float64 // size of what a block does to a text, in whatever mask it is
	branches bool
	whole    bool // the whole model's score is known

	runs int // sequences times masks
	die  int // panics with errKilled after that many runs of a batch under a mask; 0 = never
	told int
}

var errKilled = errors.New("killed")

const textTokens = 10

func unit(parts ...string) float64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	// FNV's upper bits hardly depend on the last byte; mix them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// normal is nearly normally distributed.
func normal(parts ...string) float64 {
	s := -6.0
	for i := range 12 {
		s += unit(append(parts, string(rune('a'+i)))...)
	}
	return s
}

func (s *texts) at(i int, m blockmask.Mask) float64 {
	seq := string(rune(i + 33))
	x := s.mean(m) + normal("text", seq)*0.3 + s.noise*normal("noise", seq, m.String())
	if s.lasting != 0 {
		for _, b := range m {
			x += s.lasting * normal("lasting", seq, b.String())
		}
	}
	return x
}

func (s *texts) Sequences() int                { return s.n }
func (s *texts) Size(int) (tokens, scored int) { return textTokens, textTokens - 1 }
func (s *texts) Branches() bool                { return s.branches }
func (s *texts) OfMean(mean float64) float64   { return math.Exp(mean) }

func (s *texts) Known() (float64, bool) { return 1, s.whole }

func (s *texts) Batches(which []int) ([][]int, error) {
	return slices.Collect(slices.Chunk(which, 3)), nil
}

func (s *texts) Fold(which []int, losses []float64) float64 {
	sum := 0.0
	for _, l := range losses {
		sum += l / (textTokens - 1) / float64(len(which))
	}
	if !finite(sum) {
		return math.Inf(1)
	}
	return math.Exp(sum)
}

func (s *texts) Losses(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	for i := -1; i < len(candidates); i++ {
		if i < 0 && !base {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m := removed
		if i >= 0 {
			m = removed.Union(candidates[i])
		}
		if s.told++; s.told == s.die {
			return errKilled
		}
		s.runs += len(batch)
		losses := make([]float64, len(batch))
		for j, seq := range batch {
			losses[j] = s.at(seq, m) * (textTokens - 1)
		}
		if err := got(i, losses); err != nil {
			return err
		}
	}
	return nil
}

// layered is a landscape like that of real models: each block has a price, drawn from a wide range, and blocks that are removed
// together cost more than apart.
func layered(seed string) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		sum := 1.5
		for i, b := range m {
			price := unit(seed, b.String())
			sum += 0.02 + 0.4*price*price*price
			for _, o := range m[:i] {
				sum += 0.01 * unit(seed, b.String(), o.String())
			}
		}
		return sum
	}
}

func plainCost(m *Model) Cost { return Cost{Blocks: m.Blocks, Head: 3, Embedding: 0.5} }

func newLedger(t testing.TB, s Source, m *Model) *Ledger {
	t.Helper()
	return NewLedger(s, plainCost(m), nil, "")
}

// lucky is a source on whose sequences search everything is better than start, and on the others worse.
type lucky struct {
	texts
	search []int
	start  blockmask.Mask
}

func (s *lucky) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	for i := -1; i < len(candidates); i++ {
		m := removed
		if i >= 0 {
			m = removed.Union(candidates[i])
		} else if !base {
			continue
		}
		losses := make([]float64, len(batch))
		for j, seq := range batch {
			losses[j] = 20
			switch {
			case m.Equal(s.start):
			case slices.Contains(s.search, seq):
				losses[j] -= 1 + unit(m.String())
			default:
				losses[j]++
			}
		}
		if err := got(i, losses); err != nil {
			return err
		}
	}
	return nil
}
