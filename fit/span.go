package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// Span is a candidate of a search: kept blocks that follow each other, and what a repair of the kept block before them could do in their
// place. Boundaries count as those of [engine.BlockRunner]: block i begins at boundary i.
//
// Let y(t) be what the block before adds to the stream at position t, and s(t) what the span adds, of d = n_embd numbers each. A linear
// map M (d, d) is fitted so that M y comes close to s: ridge, positions weighted as in [Run]. [Span.Add] takes batches in, [Span.Solve]
// fits, [Span.Behind] tells the stream with M y in the span's place.
type Span struct {
	Mask   blockmask.Mask
	Before int // boundary before the kept block in front; -1: there is none, or none that could be changed
	Start  int // boundary before the span's first block
	Stop   int // boundary before the kept block behind it, or behind the last block
	After  int // kept blocks behind Stop

	eq *normal
	x  *mat.Dense // nil: no map
}

// spanLambda is the ridge parameter of the maps, in parts of the mean square of a feature.
const spanLambda = 0.1

// Kept lists the indices of the blocks that are not removed.
func Kept(blocks []blockmask.Block, removed blockmask.Mask) (kept []int) {
	for i, b := range blocks {
		if !removed.Has(b) {
			kept = append(kept, i)
		}
	}
	return kept
}

// NewSpan finds a candidate among the kept blocks, where it must be in one piece. mappable says of each block whether a repair could
// change what it adds: see [Mappable].
func NewSpan(blocks []blockmask.Block, kept []int, c blockmask.Mask, mappable []bool) (*Span, error) {
	s := &Span{Mask: c, Before: -1, Start: -1}
	n := 0
	for i, at := range kept {
		if !c.Has(blocks[at]) {
			continue
		}
		if s.Start < 0 {
			s.Start = at
			if i > 0 && mappable[kept[i-1]] {
				s.Before = kept[i-1]
			}
		}
		n++
		s.Stop, s.After = len(blocks), len(kept)-i-1
		if i+1 < len(kept) {
			s.Stop = kept[i+1]
		}
		if first := slices.Index(kept, s.Start); i-first+1 != n {
			return nil, fmt.Errorf("the blocks of %s do not follow each other; a search that knows of repair cannot remove them together", c)
		}
	}
	if n == 0 {
		return nil, errors.New("a candidate removes nothing that is left")
	}
	return s, nil
}

// Mappable tells of every block whether a repair could change what it adds, by its form on one batch of the unpruned model.
func Mappable(ctx context.Context, e engine.BlockRunner, w Weights, seqs []engine.Sequence) ([]bool, error) {
	x := &batch{seqs: seqs}
	s := &state{e: e, w: w, batches: []*batch{x}}
	blocks := e.Blocks()
	out := make([]bool, len(blocks))
	var waiting []*part // of a mixer that runs side by side with the FFN behind it
	var err error
	if x.pruned, err = e.Segment(ctx, seqs, nil, -1, 0, nil); err != nil {
		return nil, err
	}
	for i, b := range blocks {
		after, err := e.Segment(ctx, seqs, nil, i, i+1, x.pruned)
		if err != nil {
			return nil, err
		}
		all, reason, err := w.Projections(b)
		if err != nil {
			return nil, err
		}
		parts := waiting
		for _, p := range all {
			parts = append(parts, newPart(b, p))
		}
		waiting = nil
		if slices.Equal(after, x.pruned) && i+1 < len(blocks) && blocks[i+1].Layer == b.Layer {
			waiting = parts
			continue
		}
		x.dense = after
		if reason == "" && len(parts) > 0 {
			if reason, err = s.pass(ctx, i, i+1, parts, true, func(*batch, *rows) error { return nil }); err != nil {
				return nil, err
			}
			out[i] = reason == ""
		}
		x.pruned = after
	}
	if !slices.Contains(out, true) {
		return nil, errors.New("no block of this model can be repaired, so there is nothing to count on; use another --strategy")
	}
	return out, nil
}

// Streams runs the model without removed over a batch of sequences of one length, and returns the stream at the boundary of every kept
// block, and behind the last: n_embd numbers for each position, one sequence after the other.
func Streams(ctx context.Context, e engine.BlockRunner, seqs []engine.Sequence, removed blockmask.Mask, kept []int) (map[int][]float32, error) {
	n := len(e.Blocks())
	out := map[int][]float32{}
	x, err := e.Segment(ctx, seqs, removed, -1, kept[0], nil)
	for i, at := range kept {
		if err != nil {
			return nil, err
		}
		out[at] = x
		next := n
		if i+1 < len(kept) {
			next = kept[i+1]
		}
		x, err = e.Segment(ctx, seqs, removed, at, next, x)
		out[next] = x
	}
	return out, err
}

// Add takes in a batch of n positions, whose streams x has by boundary: see [Streams].
func (s *Span) Add(ctx context.Context, e engine.BlockRunner, x map[int][]float32, n int) error {
	if s.Before < 0 {
		return nil
	}
	y, target := difference(x[s.Start], x[s.Before]), difference(x[s.Stop], x[s.Start])
	scaleRows(x[s.Stop], n, y, target)
	if d := len(y) / n; s.eq == nil {
		s.eq = newNormal(d, d)
	}
	s.eq.n += n
	if err := e.Product(ctx, "", n, y, y, s.eq.g); err != nil {
		return err
	}
	return e.Product(ctx, "", n, y, target, s.eq.c)
}

// Solve fits the map to what was taken in, and forgets that.
func (s *Span) Solve() {
	if s.eq == nil {
		return
	}
	if x, _, err := s.eq.solve(spanLambda); err == nil {
		s.x = x // else the candidate stands as it is
	}
	s.eq = nil
}

// Behind is the stream at Stop of a batch of n positions without the span, with what its map makes of the block before in its place.
func (s *Span) Behind(ctx context.Context, e engine.BlockRunner, x map[int][]float32, n int) ([]float32, error) {
	if s.x == nil {
		return x[s.Start], nil
	}
	y := difference(x[s.Start], x[s.Before])
	d := len(y) / n
	m := make([]float32, d*d)
	for i, v := range s.x.RawMatrix().Data {
		m[i] = float32(v)
	}
	return plusProduct(ctx, e, "", n, x[s.Start], y, m)
}
