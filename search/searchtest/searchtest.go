// Package searchtest has landscapes for tests of searches: scores that are functions of a mask, and texts whose losses are.
package searchtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/search"
)

// Synthetic scores masks by any function of the mask, and counts.
type Synthetic struct {
	Of    func(blockmask.Mask) float64
	Calls int // of Score
	Evals int // masks scored, without bases
	Fail  error
	After func(calls int)
}

// Score implements search.Scorer.
func (s *Synthetic) Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (float64, []float64, error) {
	s.Calls++
	if s.After != nil {
		s.After(s.Calls)
	}
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if s.Fail != nil {
		return 0, nil, s.Fail
	}
	var out []float64
	for _, c := range candidates {
		s.Evals++
		out = append(out, s.Of(removed.Union(c)))
	}
	return s.Of(removed), out, nil
}

// Hashed is a landscape without structure: every mask has a score of its own, drawn from few values so that ties are common.
func Hashed(seed uint64, values int) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, m.String())
		return 5 + float64(h.Sum64()%uint64(values))
	}
}

// Costs is an additive landscape: 5 plus each removed block's cost; blocks without cost are free.
func Costs(of map[string]float64) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		total := 5.0
		for _, b := range m {
			total += of[b.String()]
		}
		return total
	}
}

// PlainModel has n layers of a mixer with 100 and an FFN with 300 parameters, and 1000 more outside its blocks.
func PlainModel(n int) *search.Model {
	m := &search.Model{Params: map[blockmask.Block]uint64{}, Total: 1000}
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

// Mask parses a mask.
func Mask(t testing.TB, s string) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Order writes what a search removed, step by step.
func Order(r *search.Result) string {
	s := ""
	for _, step := range r.Steps {
		s += step.Removed.String() + " "
	}
	return s
}

// ErrEngine is what a Synthetic can fail with.
var ErrEngine = errors.New("engine fell over")

// Near reports whether two numbers are the same but for rounding.
func Near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

// Texts is a source of N sequences: the mean loss of a mask on each is Mean(mask), a part that all masks share, what each of its blocks
// does to that text, and noise of its own. Everything is a hash, so it is the same every time.
type Texts struct {
	N         int
	Mean      func(blockmask.Mask) float64
	Noise     float64
	Lasting   float64 // size of what a block does to a text, in whatever mask it is
	Branching bool
	Whole     bool // the whole model's score is known

	Runs int // sequences times masks
	Die  int // Losses ends with ErrKilled at that run of a batch under a mask; 0 = never
	Told int // runs of a batch under a mask
}

// ErrKilled ends a run of Texts: see its Die.
var ErrKilled = errors.New("killed")

// TextTokens is the length of each text. All but the first are scored.
const TextTokens = 10

// Hash returns a number from 0 to 1 that depends on nothing but its parts.
func Hash(parts ...string) float64 {
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
		s += Hash(append(parts, string(rune('a'+i)))...)
	}
	return s
}

// At returns the mean loss of text i under m.
func (s *Texts) At(i int, m blockmask.Mask) float64 {
	seq := string(rune(i + 33))
	x := s.Mean(m) + normal("text", seq)*0.3 + s.Noise*normal("noise", seq, m.String())
	if s.Lasting != 0 {
		for _, b := range m {
			x += s.Lasting * normal("lasting", seq, b.String())
		}
	}
	return x
}

func (s *Texts) Sequences() int                { return s.N }
func (s *Texts) Size(int) (tokens, scored int) { return TextTokens, TextTokens - 1 }
func (s *Texts) Branches() bool                { return s.Branching }
func (s *Texts) OfMean(mean float64) float64   { return math.Exp(mean) }

func (s *Texts) Known() (float64, bool) { return 1, s.Whole }

func (s *Texts) Batches(which []int) ([][]int, error) {
	return slices.Collect(slices.Chunk(which, 3)), nil
}

func (s *Texts) Fold(which []int, losses []float64) float64 {
	sum := 0.0
	for _, l := range losses {
		sum += l / (TextTokens - 1) / float64(len(which))
	}
	if !jsonnum.Finite(sum) {
		return math.Inf(1)
	}
	return math.Exp(sum)
}

func (s *Texts) Losses(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
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
		if s.Told++; s.Told == s.Die {
			return ErrKilled
		}
		s.Runs += len(batch)
		losses := make([]float64, len(batch))
		for j, seq := range batch {
			losses[j] = s.At(seq, m) * (TextTokens - 1)
		}
		if err := got(i, losses); err != nil {
			return err
		}
	}
	return nil
}

// Layered is a landscape like that of real models: each block has a price, drawn from a wide range, and blocks that are removed
// together cost more than apart.
func Layered(seed string) func(blockmask.Mask) float64 {
	return func(m blockmask.Mask) float64 {
		sum := 1.5
		for i, b := range m {
			price := Hash(seed, b.String())
			sum += 0.02 + 0.4*price*price*price
			for _, o := range m[:i] {
				sum += 0.01 * Hash(seed, b.String(), o.String())
			}
		}
		return sum
	}
}

// PlainCost is what a model costs whose head is worth three blocks.
func PlainCost(m *search.Model) search.Cost {
	return search.Cost{Blocks: m.Blocks, Head: 3, Embedding: 0.5}
}

// NewLedger returns a ledger without a journal.
func NewLedger(t testing.TB, s search.Source, m *search.Model) *search.Ledger {
	t.Helper()
	return search.NewLedger(s, PlainCost(m), nil, "")
}

// Truth returns the losses of all sequences under m.
func Truth(src *Texts, m blockmask.Mask) []float64 {
	losses := make([]float64, src.N)
	for i := range losses {
		losses[i] = src.At(i, m) * (TextTokens - 1)
	}
	return losses
}
