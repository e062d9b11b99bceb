package fit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Run repairs the model that e runs. The loaded model is left repaired, or as it was when the repair is undone or an error ends it.
func Run(ctx context.Context, e engine.BlockRunner, w Weights, q Request) (res *Result, err error) {
	if err := q.Removed.WholeBlocks(); err != nil {
		return nil, err
	}
	s := &state{Request: q, e: e, w: w, res: &Result{Weights: map[string][]byte{}}, norms: true}
	for i, part := range [][][]engine.Sequence{q.Fit, q.Held} {
		for j, seqs := range part {
			b := &batch{seqs: seqs, held: i == 1}
			if b.held && q.Compared != nil {
				b.compared = q.Compared[j]
			}
			s.batches = append(s.batches, b)
			s.res.Positions += b.positions()
		}
	}
	if len(q.Fit) == 0 || len(q.Held) == 0 {
		return nil, errors.New("the text is too short for a repair: it must have sequences to fit on and others to choose by")
	}
	defer func() {
		if err != nil || s.res.Undone || s.Trial {
			err = errors.Join(err, s.restore())
		}
	}()
	if s.cutting() {
		defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	}
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
	after, err := s.heldNLL(ctx, s.Removed, len(blocks), func(b *batch) []float32 { return b.pruned })
	if err != nil {
		return err
	}
	s.res.NLLAfter = mean(after)
	for i := range s.res.Kinds {
		s.res.Kinds[i].After = after[i].mean()
	}
	if s.Compared != nil {
		away, err := s.held(ctx, s.Removed, len(blocks), func(b *batch) ([]engine.Sequence, []float32) { return b.compared, b.pruned })
		if err != nil {
			return err
		}
		s.res.KLD = mean(away)
	}
	s.res.Undone = !s.cutting() && !(s.res.NLLAfter < s.res.NLLBefore)
	if s.Judge != nil && jsonnum.Finite(s.res.NLLAfter) {
		return s.Judge(ctx)
	}
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
	removed, stream := s.Removed, func(b *batch) []float32 { return b.pruned }
	if s.cutting() { // then the loss before is the whole model's
		removed, stream = nil, func(b *batch) []float32 { return b.dense }
	}
	before, err := s.heldNLL(ctx, removed, kept[0], stream)
	if err != nil {
		return 0, err
	}
	s.res.NLLBefore = mean(before)
	if s.HeldOf != nil {
		s.res.Kinds = make([]KindLoss, len(before))
		for i := range before {
			s.res.Kinds[i].Before = before[i].mean()
		}
	}
	if math.IsNaN(s.res.NLLBefore) || math.IsInf(s.res.NLLBefore, 0) {
		return 0, errors.New("the pruned model's loss is not finite; is the file damaged, or too much removed?")
	}
	if s.Log == nil {
		return 0, nil
	}
	if s.HeldOf != nil {
		if err := s.Log.SetNote(noteKinds, s.res.Kinds); err != nil {
			return 0, err
		}
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

// heldLoss is the loss of a kind of text.
type heldLoss struct {
	total float64
	n     int
}

func (l heldLoss) mean() float64 { return l.total / float64(max(1, l.n)) }

func mean(all []heldLoss) float64 {
	var sum heldLoss
	for _, l := range all {
		sum.total, sum.n = sum.total+l.total, sum.n+l.n
	}
	return sum.mean()
}

// heldNLL is the loss of each kind of the held part in the model without removed, from boundary start on with streams there.
func (s *state) heldNLL(ctx context.Context, removed blockmask.Mask, start int, stream func(*batch) []float32) ([]heldLoss, error) {
	return s.held(ctx, removed, start, func(b *batch) ([]engine.Sequence, []float32) { return b.seqs, stream(b) })
}

// held is heldNLL of the sequences that of says, whose losses may be divergences.
func (s *state) held(ctx context.Context, removed blockmask.Mask, start int, of func(*batch) ([]engine.Sequence, []float32)) ([]heldLoss, error) {
	out := make([]heldLoss, 1)
	at := 0
	for _, b := range s.batches {
		if !b.held {
			continue
		}
		seqs, stream := of(b)
		losses, err := s.e.EvalFrom(ctx, seqs, removed, start, stream)
		if err != nil {
			return nil, err
		}
		if s.HeldOf == nil {
			loss, count := sum(losses)
			out[0].total, out[0].n = out[0].total+loss, out[0].n+count
			continue
		}
		for i := range losses {
			kind := s.HeldOf[at]
			for len(out) <= kind {
				out = append(out, heldLoss{})
			}
			loss, count := sum(losses[i : i+1])
			out[kind].total, out[kind].n = out[kind].total+loss, out[kind].n+count
			at++
		}
	}
	return out, nil
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
