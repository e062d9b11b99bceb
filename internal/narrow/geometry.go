package narrow

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/search"
)

// narrow is a shape whose FFNs are narrower by a little, but for the first few.
func (n *Narrower) narrow(whole int) shape.Shape {
	s := shape.Shape{Widths: map[blockmask.Block]int{}}
	for i, b := range n.ffns {
		s.Widths[b] = n.full[b]
		if i >= whole && n.full[b] > n.grain {
			s.Widths[b] = (n.full[b] - 1) / n.grain * n.grain
		}
	}
	return s
}

// storable says why there is no file for a shape.
func (n *Narrower) storable(s shape.Shape) error {
	mask, err := s.Mask(n.full)
	if err != nil {
		return err
	}
	_, err = n.Size(mask)
	return err
}

// fits reports whether a shape reaches the goal.
func (n *Narrower) fits(s shape.Shape) (bool, error) {
	step, err := n.stepOf(s)
	if err != nil {
		return false, err
	}
	g := n.amount
	return g.Ratio > 0 && step.Ratio >= g.Ratio || g.Size > 0 && step.Size <= g.Size || g.Speedup > 0 && step.Speedup >= g.Speedup, nil
}

// stepOf describes the model in a shape, before it is known which channels go and what that loses.
func (n *Narrower) stepOf(s shape.Shape) (search.Step, error) {
	mask, err := s.Mask(n.full)
	if err != nil {
		return search.Step{}, err
	}
	return n.Step(mask, 0)
}

// checkSize warns where the file without mask is larger than the goal allows.
func (n *Narrower) checkSize(mask blockmask.Mask) {
	if size, err := n.Size(mask); err == nil && n.Goal.Size > 0 && size > n.Goal.Size {
		n.sink.Warnf("the file has %d bytes, more than the %d of --target-size", size, n.Goal.Size)
	}
}

// oneWidth finds the widest FFNs of one width that reach the goal.
func (n *Narrower) oneWidth() (err error) {
	n.uniform, err = shape.Uniform(oneWidth, n.full, nil, n.grain, n.fits)
	return err
}

// speedup is that of the model without what mask removes: an FFN takes as much less time as it has fewer channels. 0: unknown.
func (n *Narrower) speedup(mask blockmask.Mask) float64 {
	if n.times == nil {
		return 0
	}
	whole, left := n.times.Rest, n.times.Rest
	for _, b := range n.times.Blocks {
		t := n.times.Times[b]
		whole += t
		switch c, ok := mask.Cut(b); {
		case !ok:
			left += t
		case !c.Gone():
			left += t * float64(c.Channels.Len()) / float64(n.full[b])
		}
	}
	return whole / left
}

// request asks for the fit of a shape.
func (n *Narrower) request(s shape.Shape) repair.Request {
	return repair.Request{
		Blocks: n.Blocks, Removed: s.Removed, Widths: s.Narrowed(n.full), Options: n.Repair, Text: n.Text, Tool: n.Tool, Twin: n.twin, Decided: true, Own: n.own,
		Anew: true, Output: n.Output,
	}
}

// Step describes the model without what mask removes.
func (n *Narrower) Step(mask blockmask.Mask, score float64) (search.Step, error) {
	s := search.Step{Index: 1, Removed: mask, Score: score, Speedup: n.speedup(mask)}
	var err error
	if s.Size, err = n.Size(mask); err != nil {
		return s, err
	}
	w, err := n.src.Sizes(n.Blocks).OfMask(mask)
	if err != nil {
		return s, err
	}
	s.ParamsRemoved = w.Params
	s.Ratio = float64(w.Params) / float64(n.src.File.Params())
	s.Candidates = []search.Candidate{{Mask: mask, Score: score}}
	return s, nil
}
