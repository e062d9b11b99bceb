package fit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// Run repairs the model that e runs. The loaded model is left repaired, or as it was when the repair is undone or an error ends it.
func Run(ctx context.Context, e engine.BlockRunner, w Weights, q Request) (res *Result, err error) {
	if err := q.Removed.WholeBlocks(); err != nil {
		return nil, err
	}
	s := &state{Request: q, e: e, w: w, res: &Result{Weights: map[string][]byte{}}, norms: true}
	for i, part := range [][][]engine.Sequence{q.Fit, q.Held} {
		for _, seqs := range part {
			s.batches = append(s.batches, &batch{seqs: seqs, held: i == 1})
			s.res.Positions += s.batches[len(s.batches)-1].positions()
		}
	}
	if len(q.Widths) > 0 && q.Log != nil {
		return nil, errors.New("a fit of channels keeps no log")
	}
	if len(q.Fit) == 0 || len(q.Held) == 0 {
		return nil, errors.New("the text is too short for a repair: it must have sequences to fit on and others to choose by")
	}
	defer func() {
		if err != nil || s.res.Undone {
			err = errors.Join(err, s.restore())
		}
	}()
	if err := s.walk(ctx); err != nil {
		return nil, err
	}
	return s.res, nil
}

// walk goes through the kept blocks, front to back.
func (s *state) walk(ctx context.Context) error {
	blocks := s.e.Blocks()
	kept := s.kept(blocks)
	if len(kept) == 0 {
		return fmt.Errorf("%w: no kept block lies before a removed one", ErrNothing)
	}
	first, err := s.start(ctx, blocks, kept)
	if err != nil {
		return err
	}
	for i := first; i < len(kept); i++ {
		stop := len(blocks)
		if i+1 < len(kept) {
			stop = kept[i+1]
		}
		if s.Progress != nil {
			s.Progress(i, len(kept), blocks[kept[i]])
		}
		had, from := s.names(), len(s.res.Blocks)
		if err := s.block(ctx, blocks[kept[i]], kept[i], stop); err != nil {
			return err
		}
		if err := s.keep(blocks[kept[i]], from, had); err != nil {
			return err
		}
	}
	if s.res.NLLAfter, err = s.heldNLL(ctx, len(blocks)); err != nil {
		return err
	}
	// Where channels go the loss before is the whole model's.
	s.res.Undone = len(s.Widths) == 0 && !(s.res.NLLAfter < s.res.NLLBefore)
	return nil
}

// start takes over what the log is done with, and brings both streams to the first block that it is not; first is that one's index in
// kept. The unpruned stream is computed before any weight is changed.
func (s *state) start(ctx context.Context, blocks []blockmask.Block, kept []int) (first int, err error) {
	run := func(removed blockmask.Mask, boundary int) (streams [][]float32, err error) {
		for _, b := range s.batches {
			x, err := s.e.Segment(ctx, b.seqs, removed, -1, boundary, nil)
			if err != nil {
				return nil, err
			}
			streams = append(streams, x)
		}
		return streams, nil
	}
	known, weights, err := s.logged(blocks, kept)
	if err != nil {
		return 0, err
	}
	first = len(known)
	boundary := len(blocks)
	if first < len(kept) {
		boundary = kept[first]
	}
	dense, err := run(nil, boundary)
	if err != nil {
		return 0, err
	}
	if err := s.recall(known, weights); err != nil {
		return 0, err
	}
	pruned := dense
	if first > 0 || s.anyRemoved(blocks[:kept[0]]) { // else the streams are the same up to here
		if pruned, err = run(s.Removed, boundary); err != nil {
			return 0, err
		}
	}
	for i, b := range s.batches {
		b.dense, b.pruned = dense[i], pruned[i]
	}
	if first > 0 {
		return first, nil
	}
	if s.res.NLLBefore, err = s.heldNLL(ctx, kept[0]); err != nil {
		return 0, err
	}
	if math.IsNaN(s.res.NLLBefore) || math.IsInf(s.res.NLLBefore, 0) {
		return 0, errors.New("the pruned model's loss is not finite; is the file damaged, or too much removed?")
	}
	if s.Log == nil {
		return 0, nil
	}
	return 0, s.Log.SetNote(noteBefore, s.res.NLLBefore)
}

func (s *state) anyRemoved(blocks []blockmask.Block) bool {
	return slices.ContainsFunc(blocks, s.Removed.Has)
}

// kept lists the indices of the blocks that stay, from the first that loses channels or the last one before the first gap on.
func (s *state) kept(blocks []blockmask.Block) []int {
	first := slices.IndexFunc(blocks, s.narrows)
	if gap := slices.IndexFunc(blocks, s.Removed.Has); gap >= 0 && (first < 0 || gap-1 < first) {
		first = gap - 1
	}
	if first < 0 && !s.anyRemoved(blocks) {
		return nil
	}
	var out []int
	for i, b := range blocks {
		if i >= first && !s.Removed.Has(b) {
			out = append(out, i)
		}
	}
	return out
}

// heldNLL is the mean loss of the held part, from boundary start on with the pruned streams there.
func (s *state) heldNLL(ctx context.Context, start int) (float64, error) {
	total, n := 0.0, 0
	for _, b := range s.batches {
		if !b.held {
			continue
		}
		losses, err := s.e.EvalFrom(ctx, b.seqs, s.Removed, start, b.pruned)
		if err != nil {
			return 0, err
		}
		loss, count := sum(losses)
		total, n = total+loss, n+count
	}
	return total / float64(max(n, 1)), nil
}

// restore puts the original weights back.
func (s *state) restore() error {
	var errs []error
	for _, b := range s.e.Blocks() {
		all, _, err := s.w.Projections(b)
		errs = append(errs, err)
		for _, p := range all {
			if s.res.Weights[p.Name] != nil {
				errs = append(errs, s.e.SetWeight(p.Name, p.Data))
			}
		}
	}
	s.res.Weights = map[string][]byte{}
	return errors.Join(errs...)
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
