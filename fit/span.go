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

// span is a candidate: the kept blocks between two boundaries, and where the kept block before it begins.
type span struct {
	mask        blockmask.Mask
	before      int // boundary before the kept block in front; -1: there is none, or none that could be changed
	start, stop int // boundaries
	after       int // kept blocks behind stop
	eq          *normal
	x           *mat.Dense // nil: no map
	losses      []float64  // mean of each held sequence that it has run on
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
		s.stop, s.after = len(blocks), len(kept)-i-1
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

// mappable tells of every block whether a repair could change what it adds, by its form on one batch of the unpruned model.
func mappable(ctx context.Context, e engine.BlockRunner, w Weights, seqs []engine.Sequence) ([]bool, error) {
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

// streams runs the pruned model over a batch and returns the stream at every kept block's boundary, and behind the last.
func (a *Aware) streams(ctx context.Context, seqs []engine.Sequence, removed blockmask.Mask, kept []int) (map[int][]float32, error) {
	n := len(a.Runner.Blocks())
	out := map[int][]float32{}
	x, err := a.Runner.Segment(ctx, seqs, removed, -1, kept[0], nil)
	for i, at := range kept {
		if err != nil {
			return nil, err
		}
		out[at] = x
		next := n
		if i+1 < len(kept) {
			next = kept[i+1]
		}
		x, err = a.Runner.Segment(ctx, seqs, removed, at, next, x)
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
			if err := a.Runner.Product(ctx, "", n, y, y, s.eq.g); err != nil {
				return err
			}
			if err := a.Runner.Product(ctx, "", n, y, target, s.eq.c); err != nil {
				return err
			}
		}
		a.ran(nil, n, float64(len(kept))+float64(len(spans))*a.MapCost)
		if err := a.stopped(); err != nil {
			return err
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
	if err := a.Runner.Product(ctx, "", d, turned, m, product); err != nil {
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
