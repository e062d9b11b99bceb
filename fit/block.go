package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// MaxFull is the most inputs of a projection that Auto fits in full: k x k doubles are kept twice, and the solve takes k^3/3
// multiplications for each lambda.
const MaxFull = 6144

// minGain is the part of the held-out loss that a block's repair must win.
const minGain = 1e-3

// affordable reports whether a fit of every single weight is.
func (p *part) affordable() bool { return p.In <= MaxFull && bytesOf(p.In, p.Out) <= maxExpertBytes }

// block brings both streams to boundary stop, and repairs the block at index at on the way.
func (s *state) block(ctx context.Context, b blockmask.Block, at, stop int) error {
	all, reason, err := s.w.Projections(b)
	if err != nil {
		return err
	}
	own := reason
	parts, reason, err := s.beside(ctx, at, reason)
	if err != nil {
		return err
	}
	for _, p := range all {
		parts = append(parts, newPart(b, p))
	}
	same := true
	for _, x := range s.batches {
		before := x.dense
		if x.dense, err = s.e.Segment(ctx, x.seqs, nil, at, stop, before); err != nil {
			return err
		}
		same = same && slices.Equal(before, x.dense)
	}
	// A mixer and an FFN that run side by side start at the same boundary: the mixer waits, and both are added at the FFN.
	if blocks := s.e.Blocks(); same && reason == "" && stop < len(blocks) && blocks[stop].Layer == b.Layer {
		s.waiting = parts
		return nil
	}
	s.waiting = nil
	switch {
	case s.narrows(b) && own != "":
		err = fmt.Errorf("%s cannot lose channels: %s", b, own)
	case s.narrows(b):
		if err = s.cut(ctx, b, at, stop, parts); err == nil && !s.Trial {
			err = s.refitBeside(ctx, b, at, stop, parts, reason)
		}
		reason = ""
	case s.Trial && s.cutting():
		reason = "a trial fits what is narrowed only"
	case reason == "":
		reason, err = s.refit(ctx, at, stop, parts)
	}
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.res.Blocks = append(s.res.Blocks, Block{Block: b, Skipped: reason})
	}
	for _, p := range parts {
		if reason != "" {
			p.out.Skipped = reason
		}
		s.res.Blocks = append(s.res.Blocks, p.out)
	}
	for _, x := range s.batches {
		if x.next == nil {
			if x.next, err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned); err != nil {
				return err
			}
		}
		x.pruned, x.next = x.next, nil
	}
	return nil
}

// beside are the parts of a kept mixer that runs side by side with the block at index at, so that both are added between the same
// boundaries. The first block of a repair finds it out itself; for the others it waits.
func (s *state) beside(ctx context.Context, at int, reason string) ([]*part, string, error) {
	blocks := s.e.Blocks()
	if len(s.res.Blocks) > 0 || s.waiting != nil || at == 0 || blocks[at-1].Layer != blocks[at].Layer || s.Removed.Has(blocks[at-1]) {
		return s.waiting, reason, nil
	}
	x := s.batches[0]
	after, err := s.e.Segment(ctx, x.seqs, nil, at-1, at, x.dense)
	if err != nil || !slices.Equal(after, x.dense) {
		return nil, reason, err
	}
	all, why, err := s.w.Projections(blocks[at-1])
	var parts []*part
	for _, p := range all {
		parts = append(parts, newPart(blocks[at-1], p))
	}
	if reason == "" {
		reason = why
	}
	return parts, reason, err
}

// own is the output projection of an FFN that loses channels. If something else is added between the same boundaries, such as an attention
// that runs side by side with it, s.alone is the FFN.
func (s *state) own(ctx context.Context, b blockmask.Block, at, stop int, parts []*part) (p *part, err error) {
	n := 0
	for _, q := range parts {
		if q.block != b {
			continue
		}
		p = q
		n++
	}
	if n != 1 || p.Experts > 0 {
		return nil, fmt.Errorf("%s has %d output projections; only a dense FFN with one can lose channels", b, n)
	}
	x := s.batches[0]
	without, err := s.e.Segment(ctx, x.seqs, s.Removed.With(b), at, stop, x.pruned)
	if err != nil {
		return nil, err
	}
	s.alone = nil
	if !slices.Equal(without, x.pruned) {
		s.alone = blockmask.New(b)
	}
	return p, nil
}

// refitBeside fits the parts of the mixer that runs side by side with an FFN b which lost channels. reason says why it cannot be.
func (s *state) refitBeside(ctx context.Context, b blockmask.Block, at, stop int, parts []*part, reason string) (err error) {
	others := slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return p.block == b })
	if len(others) == 0 {
		return nil
	}
	if reason == "" {
		s.alone = blockmask.New(others[0].block)
		reason, err = s.refit(ctx, at, stop, others)
		s.alone = nil
	}
	for _, p := range others {
		if reason != "" {
			p.left(reason)
		}
	}
	return err
}

// refit fits the parts of a block, which lies between two boundaries. reason says why their form does not allow it; what else became of a
// part is written down in it.
func (s *state) refit(ctx context.Context, at, stop int, parts []*part) (reason string, err error) {
	mapped := newMapFit(parts, s.cutting())
	for i, fits := range s.rounds(parts, mapped) {
		taken, reason, err := s.round(ctx, at, stop, parts, fits, i == 0)
		if err != nil || reason != "" {
			return reason, err
		}
		if taken == fit(mapped) {
			break
		}
	}
	return "", nil
}

// rounds says what is fitted one after the other: of each round, the best fit is taken. A map is fitted to all parts at once; without
// one, what a part leaves of the residual is the next one's to fit.
func (s *state) rounds(parts []*part, mapped fit) (out [][]fit) {
	if s.Method == Map || s.Method == Auto && !slices.ContainsFunc(parts, (*part).affordable) {
		return [][]fit{{mapped}}
	}
	for _, p := range parts {
		switch {
		case p.Experts == 0 && (p.affordable() || s.Method == Full):
			out = append(out, []fit{newFullFit(p, s.cutting())})
		case p.affordable():
			out = append(out, []fit{newExpertsFit(p)})
		default:
			p.left(fmt.Sprintf("its %d inputs are too many to be fitted by themselves; a map may do", p.In))
		}
	}
	// One map for all experts needs less text than a fit of each.
	if s.Method == Auto && len(out) > 0 && slices.ContainsFunc(parts, func(p *part) bool { return p.Experts > 0 }) {
		out[0] = append(out[0], mapped)
	}
	return out
}

// round runs all batches over the block, lets the fits collect what they need, and installs the best of them if it lowers the held-out
// loss; that one is taken.
func (s *state) round(ctx context.Context, at, stop int, parts []*part, fits []fit, first bool) (taken fit, reason string, err error) {
	before, held := 0.0, 0
	reason, err = s.pass(ctx, at, stop, parts, true, func(x *batch, r *rows) error {
		if x.held {
			before += square(r.residual)
			held += len(r.residual)
		}
		for _, p := range parts {
			if first {
				p.count(r.taps[p])
			}
		}
		for _, f := range fits {
			if err := f.add(ctx, s.e, x.held, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || reason != "" {
		return nil, reason, err
	}
	for _, f := range fits {
		for f.advance(s) {
			reason, err = s.pass(ctx, at, stop, parts, false, func(x *batch, r *rows) error { return f.add(ctx, s.e, x.held, r) })
			if err != nil || reason != "" {
				return nil, reason, err
			}
		}
	}
	best, taken, failed, err := s.choose(ctx, at, stop, fits, before)
	if err != nil {
		return nil, "", err
	}
	reason = failed
	if taken != nil {
		if reason, err = s.adopt(ctx, at, stop, taken, best, before, float64(held)); err != nil {
			return nil, "", err
		}
		if reason == "" {
			return taken, "", nil
		}
	}
	for _, f := range fits {
		for _, p := range f.parts() {
			p.out.Before = jsonnum.Float(before / float64(held))
			p.left(reason)
		}
	}
	return nil, "", nil
}

// choose picks the candidate with the lowest held-out loss, if it is clearly below before; failed says why there is none.
func (s *state) choose(ctx context.Context, at, stop int, fits []fit, before float64) (best candidate, taken fit, failed string, err error) {
	if before == 0 {
		return best, nil, "the streams are the same", nil
	}
	failed = "no fit lowers the held-out loss"
	best.loss = before * (1 - minGain)
	for _, f := range fits {
		all, why, err := f.candidates()
		if err != nil {
			return best, nil, "", err
		}
		if why != "" {
			failed = why
		}
		for _, c := range all {
			if c.data != nil {
				if c.loss, err = s.try(ctx, at, stop, f, c.data); err != nil {
					return best, nil, "", err
				}
			}
			if c.loss < best.loss {
				best, taken = c, f
			}
		}
	}
	return best, taken, failed, nil
}

// try is the held-out loss with other weights, which are taken back.
func (s *state) try(ctx context.Context, at, stop int, f fit, data [][]byte) (float64, error) {
	if err := s.set(f.parts(), data); err != nil {
		return 0, err
	}
	loss, err := s.judge(ctx, at, stop)
	return loss, errors.Join(err, s.set(f.parts(), nil))
}

// adopt installs what a fit gives. When the encoded weights turn out not to help, the old ones come back.
func (s *state) adopt(ctx context.Context, at, stop int, f fit, c candidate, before, held float64) (reason string, err error) {
	data, reason, err := f.build(ctx, s, c)
	if err != nil || reason != "" {
		return reason, err
	}
	if !slices.ContainsFunc(f.parts(), func(p *part) bool { return !slices.Equal(p.Data, data[slices.Index(f.parts(), p)]) }) {
		return "the change is below the precision of the weights", nil
	}
	if err := s.set(f.parts(), data); err != nil {
		return "", err
	}
	after, err := s.judge(ctx, at, stop)
	if err != nil {
		return "", err
	}
	if !(after < before) {
		return "rounding to the tensor's type undoes the fit", s.set(f.parts(), nil)
	}
	for _, p := range f.parts() {
		p.out.Skipped, p.out.Method, p.out.Lambda = "", f.method(), c.lambda
		p.out.Before, p.out.After = jsonnum.Float(before/held), jsonnum.Float(after/held)
	}
	return "", nil
}
