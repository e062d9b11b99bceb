package repair

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// Aware is a search strategy that scores every candidate after a cheap repair of its own, so that it removes what the blocks before can
// make up for. Of a candidate, let y(t) be what the nearest kept block before it adds to the stream, and s(t) what the candidate adds. A
// linear map M is fitted on Fit so that M y comes close to s (ridge, positions weighted as in [Run]); the score is the perplexity on Held
// of the model without the candidate, with M y added in its place. Nothing is changed in the model: the repair proper comes after the
// search.
//
// After the first step only the Admit candidates that were best in the step before are looked at.
type Aware struct {
	Engine    Engine
	Fit, Held [][]perplexity.Sequence
	Admit     int // 0: all

	last map[string]float64 // scores of the step before
}

// DefaultAdmit is how many candidates a step looks at.
const DefaultAdmit = 12

// awareLambda is the ridge parameter of the maps, in parts of the mean square of a feature.
const awareLambda = 0.1

// Name implements search.Strategy.
func (*Aware) Name() string { return "aware" }

// span is a candidate: the kept blocks between two boundaries, and where the kept block before it begins.
type span struct {
	mask        blockmask.Mask
	before      int // boundary before the kept block in front; -1: there is none
	start, stop int // boundaries
	eq          *normal
	x           *mat.Dense // nil: no map
	loss        float64
}

// Choose implements search.Strategy.
func (a *Aware) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
	kept := keptBlocks(a.Engine.Blocks(), removed)
	var spans []*span
	for _, c := range a.admit(candidates) {
		s, err := newSpan(a.Engine.Blocks(), kept, c)
		if err != nil {
			return search.Choice{}, err
		}
		spans = append(spans, s)
	}
	if err := a.fit(ctx, removed, kept, spans); err != nil {
		return search.Choice{}, err
	}
	base, n, err := a.score(ctx, removed, kept, spans)
	if err != nil {
		return search.Choice{}, err
	}
	out := search.Choice{Base: ppl(base, n)}
	a.last = map[string]float64{}
	for _, s := range spans {
		score := ppl(s.loss, n)
		a.last[s.mask.String()] = score
		out.Scored = append(out.Scored, search.Candidate{Mask: s.mask, Score: score})
		if score < out.Scored[out.Best].Score {
			out.Best = len(out.Scored) - 1
		}
	}
	return out, nil
}

// ppl is the perplexity of a sum of losses; what exploded is infinite.
func ppl(loss float64, n int) float64 {
	if v := math.Exp(loss / float64(n)); !math.IsNaN(v) {
		return v
	}
	return math.Inf(1)
}

// admit picks the candidates of a step, in their order.
func (a *Aware) admit(candidates []blockmask.Mask) []blockmask.Mask {
	if a.Admit <= 0 || a.last == nil || len(candidates) <= a.Admit {
		return candidates
	}
	stale := func(m blockmask.Mask) float64 {
		if v, ok := a.last[m.String()]; ok {
			return v
		}
		return math.Inf(1)
	}
	order := slices.Clone(candidates)
	slices.SortStableFunc(order, func(x, y blockmask.Mask) int {
		switch p, q := stale(x), stale(y); {
		case p < q:
			return -1
		case p > q:
			return 1
		}
		return 0
	})
	// What was not looked at in the last step keeps its place at the end, and comes in as others go.
	chosen := order[:a.Admit]
	return slices.DeleteFunc(slices.Clone(candidates), func(m blockmask.Mask) bool {
		return !slices.ContainsFunc(chosen, m.Equal)
	})
}

// keptBlocks lists the indices of the blocks that are not removed.
func keptBlocks(blocks []blockmask.Block, removed blockmask.Mask) (kept []int) {
	for i, b := range blocks {
		if !removed.Has(b) {
			kept = append(kept, i)
		}
	}
	return kept
}

// newSpan finds a candidate among the kept blocks, where it must be in one piece.
func newSpan(blocks []blockmask.Block, kept []int, c blockmask.Mask) (*span, error) {
	s := &span{mask: c, before: -1, start: -1}
	n := 0
	for i, at := range kept {
		if !c.Has(blocks[at]) {
			continue
		}
		if s.start < 0 {
			s.start = at
			if i > 0 {
				s.before = kept[i-1]
			}
		}
		n++
		s.stop = len(blocks)
		if i+1 < len(kept) {
			s.stop = kept[i+1]
		}
		if first := slices.Index(kept, s.start); i-first+1 != n {
			return nil, fmt.Errorf("the blocks of %s do not follow each other; a search that knows of repair cannot remove them together", c)
		}
	}
	if n == 0 {
		return nil, errors.New("a candidate removes nothing that is left")
	}
	return s, nil
}

// streams runs the pruned model over a batch and returns the stream at every kept block's boundary, and behind the last.
func (a *Aware) streams(ctx context.Context, seqs []perplexity.Sequence, removed blockmask.Mask, kept []int) (map[int][]float32, error) {
	n := len(a.Engine.Blocks())
	out := map[int][]float32{}
	x, err := a.Engine.Segment(ctx, seqs, removed, -1, kept[0], nil, "", nil)
	for i, at := range kept {
		if err != nil {
			return nil, err
		}
		out[at] = x
		next := n
		if i+1 < len(kept) {
			next = kept[i+1]
		}
		x, err = a.Engine.Segment(ctx, seqs, removed, at, next, x, "", nil)
		out[next] = x
	}
	return out, err
}

// fit fits the map of every candidate.
func (a *Aware) fit(ctx context.Context, removed blockmask.Mask, kept []int, spans []*span) error {
	for _, seqs := range a.Fit {
		x, err := a.streams(ctx, seqs, removed, kept)
		if err != nil {
			return err
		}
		n := len(seqs) * len(seqs[0].Tokens)
		for _, s := range spans {
			if s.before < 0 {
				continue
			}
			y, target := difference(x[s.start], x[s.before]), difference(x[s.stop], x[s.start])
			scaleRows(x[s.stop], n, y, target)
			if d := len(y) / n; s.eq == nil {
				s.eq = newNormal(d, d)
			}
			s.eq.n += n
			if err := a.Engine.Product(ctx, "", n, y, y, s.eq.g); err != nil {
				return err
			}
			if err := a.Engine.Product(ctx, "", n, y, target, s.eq.c); err != nil {
				return err
			}
		}
	}
	for _, s := range spans {
		if s.eq == nil {
			continue
		}
		if x, _, err := s.eq.solve(awareLambda); err == nil {
			s.x = x // else the candidate stands as it is
		}
		s.eq = nil
	}
	return nil
}

// score sums the losses of the held part: the model's own, and that of each candidate in its span.
func (a *Aware) score(ctx context.Context, removed blockmask.Mask, kept []int, spans []*span) (base float64, n int, err error) {
	for _, seqs := range a.Held {
		x, err := a.streams(ctx, seqs, removed, kept)
		if err != nil {
			return 0, 0, err
		}
		losses, err := a.Engine.EvalFrom(ctx, seqs, removed, len(a.Engine.Blocks()), x[len(a.Engine.Blocks())])
		if err != nil {
			return 0, 0, err
		}
		loss, count := sum(losses)
		base, n = base+loss, n+count
		for _, s := range spans {
			in, err := a.repaired(ctx, s, x, len(seqs)*len(seqs[0].Tokens))
			if err != nil {
				return 0, 0, err
			}
			if losses, err = a.Engine.EvalFrom(ctx, seqs, removed.Union(s.mask), s.stop, in); err != nil {
				return 0, 0, err
			}
			loss, _ := sum(losses)
			s.loss += loss
		}
	}
	return base, n, nil
}

// repaired is the stream behind a candidate that is not there, with what its map makes of the block before.
func (a *Aware) repaired(ctx context.Context, s *span, x map[int][]float32, n int) ([]float32, error) {
	if s.x == nil {
		return x[s.start], nil
	}
	y := difference(x[s.start], x[s.before])
	d := len(y) / n
	turned, m := make([]float32, len(y)), make([]float32, d*d)
	for i := range n {
		for j := range d {
			turned[j*n+i] = y[i*d+j]
		}
	}
	for i, v := range s.x.RawMatrix().Data {
		m[i] = float32(v)
	}
	product := make([]float64, n*d)
	if err := a.Engine.Product(ctx, "", d, turned, m, product); err != nil {
		return nil, err
	}
	out := slices.Clone(x[s.start])
	for i, v := range product {
		out[i] += float32(v)
	}
	return out, nil
}

// sum adds up the losses of all positions that something follows.
func sum(losses [][]float64) (total float64, n int) {
	for _, row := range losses {
		for _, l := range row[:len(row)-1] {
			total += l
			n++
		}
	}
	return total, n
}
