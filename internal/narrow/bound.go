package narrow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// How much goes within a bound of quality.
const (
	firstRatio  = 0.15 // that is tried
	halvings    = 8    // of the step from one width that is within the bound to an amount that the FFNs do not hold
	nearBound   = 0.93 // a loss between this part of the bound and all of it is near enough
	firstTries  = 2    // of one width, to see about how much can go
	secondTries = 4    // of the best shape, to come nearer
	wholeFits   = 3    // on all of the text, until one is within the bound
	wholeAim    = 0.97 // part of the bound that the next one aims at
	sameShape   = 32   // most amounts that are passed over since they make a shape that is known: widths go in grains
	passBy      = 0.98 // the next amount, in parts of one whose shape loses too much
)

// used is what a loss takes of the goal's bound: 1 is all of it.
func (n *Narrower) used(loss float64) float64 {
	if n.Goal.MaxKLD > 0 {
		return loss / n.Goal.MaxKLD
	}
	return loss / math.Log(n.Goal.MaxPPLRatio)
}

// chooseWithin finds the shape of the fewest parameters whose loss after a short fit is within the goal's bound. About how much can go
// is seen with one width for all; of that amount all shapes are tried, and the best one comes nearer to the bound.
func (n *Narrower) chooseWithin(ctx context.Context) (shape.Shape, []plan.Shape, error) {
	c := &choice{Narrower: n}
	uniform := &seeker{choice: c, name: oneWidth}
	ratio, err := uniform.seek(ctx, firstRatio, firstTries)
	if err == nil && (!n.mixed || uniform.most == 0) {
		ratio, err = uniform.seek(ctx, ratio, secondTries)
	}
	if err != nil {
		return shape.Shape{}, nil, err
	}
	if !n.mixed || uniform.most == 0 { // what one width loses at its widest, others lose, too, or nearly
		return uniform.found(n)
	}
	for i := 0; n.setAmount(ratio) != nil; i++ { // the FFNs hold less than that
		if i == halvings {
			return uniform.found(n)
		}
		uniform.known.Add(shape.Point{Ratio: ratio, Used: math.Inf(1)})
		ratio = uniform.known.Next()
	}
	which, err := c.tryAll(ctx)
	if err != nil {
		return shape.Shape{}, nil, err
	}
	at := pick(c.tried, which, n.loss, c.narrowest)
	best := uniform
	if name := c.shapes[at].Name; name != oneWidth {
		best = &seeker{choice: c, name: name}
	}
	best.take(at)
	if _, err := best.seek(ctx, best.known.Next(), secondTries); err != nil {
		return shape.Shape{}, nil, err
	}
	if best.most < uniform.most { // it lost the least of another amount, and comes less near to the bound
		best = uniform
	}
	return best.found(n)
}

// setAmount makes a part of the parameters what shapes must reach.
func (n *Narrower) setAmount(ratio float64) error {
	n.amount = search.Goal{Ratio: ratio}
	return n.oneWidth()
}

// seeker comes nearer to a bound with shapes of one kind.
type seeker struct {
	*choice
	name   string
	known  shape.Bracket
	within shape.Shape // of the fewest parameters
	most   float64     // part of the parameters that it lacks; 0: none is within
	at     int         // in tried
	// useless: a shape was tried and predicted nothing.
	useless bool
}

// take learns of a shape that was tried.
func (s *seeker) take(at int) {
	t := s.tried[at].Shape
	p := shape.Point{Ratio: t.Ratio, Used: s.used(s.loss(t))}
	s.known.Add(p)
	if p.Used <= 1 && p.Ratio > s.most {
		s.within, s.most, s.at = s.shapes[at], p.Ratio, at
	}
}

// done reports whether coming nearer is not worth a trial.
func (s *seeker) done() bool {
	return slices.ContainsFunc(s.known, func(p shape.Point) bool { return p.Used <= 1 && p.Used >= nearBound })
}

// seek tries amounts, the first one first, and returns the one that is likely to take all of the bound.
func (s *seeker) seek(ctx context.Context, first float64, tries int) (float64, error) {
	ratio := first
	for range tries {
		if s.done() {
			break
		}
		if err := s.tryAt(ctx, ratio); err != nil {
			return 0, err
		}
		ratio = s.known.Next()
	}
	return ratio, nil
}

// tryAt tries the shape of an amount, unless none has it. Where that shape is known, the next amount is tried that makes another one.
func (s *seeker) tryAt(ctx context.Context, ratio float64) error {
	what, ratio, err := s.unknown(ratio, func(ratio float64) (shape.Shape, error) { return s.named(ctx, s.name, ratio) })
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.known.Add(shape.Point{Ratio: ratio, Used: math.Inf(1)}) // so much cannot go
		return nil
	}
	at, err := s.try(ctx, what)
	switch {
	case err != nil:
		return err
	case at < 0:
		s.useless = true
		s.known.Add(shape.Point{Ratio: ratio, Used: math.Inf(1)})
	default:
		s.take(at)
	}
	return nil
}

// unknown is the shape of ratio, or of the likeliest amount after it whose shape tells something new.
func (s *seeker) unknown(ratio float64, of func(ratio float64) (shape.Shape, error)) (shape.Shape, float64, error) {
	for i := 0; ; i++ {
		what, err := of(ratio)
		if err != nil {
			return what, ratio, err
		}
		at := slices.IndexFunc(s.shapes, what.Equal)
		if at < 0 || i == sameShape || !s.known.Has(s.tried[at].Ratio) {
			return what, ratio, nil
		}
		used := s.used(s.loss(s.tried[at].Shape))
		s.known.Add(shape.Point{Ratio: ratio, Used: used})
		next := s.known.Next()
		if used > 1 {
			next = min(next, passBy*ratio)
		}
		ratio = next
	}
}

// named is the shape of a name that reaches a ratio.
func (n *Narrower) named(ctx context.Context, name string, ratio float64) (shape.Shape, error) {
	if err := n.setAmount(ratio); err != nil {
		return shape.Shape{}, err
	}
	if name == oneWidth {
		return n.uniform, nil
	}
	if name == oneWidth+endsSpared {
		return n.sparing()
	}
	for _, spared := range [][]blockmask.Block{nil, n.ends()} {
		all, err := n.shapes(ctx, spared)
		if err != nil {
			return shape.Shape{}, err
		}
		if i := slices.IndexFunc(all, func(s shape.Shape) bool { return s.Name == name }); i >= 0 {
			return all[i], nil
		}
	}
	return shape.Shape{}, fmt.Errorf("no %s remove that much", name)
}

// found is what was found within the bound.
func (s *seeker) found(n *Narrower) (shape.Shape, []plan.Shape, error) {
	if len(s.tried) == 0 && s.useless {
		return s.within, nil, n.Goal.Fail("what is left after removing so much predicts nothing; give --ratio with a small part, or use --kind mix")
	}
	if len(s.tried) == 0 {
		return s.within, nil, n.Goal.Fail("the FFNs are too narrow to lose channels; use --kind mix")
	}
	if s.most == 0 {
		least := slices.MinFunc(s.tried, func(a, b trial) int { return cmp.Compare(n.loss(a.Shape), n.loss(b.Shape)) })
		return s.within, nil, n.Goal.Fail("removing %.1f%% of the parameters loses more than that already (perplexity x%.3f, KLD %.3f); give a larger bound",
			100*least.Ratio, math.Exp(least.Loss), least.KLD)
	}
	n.amount.Ratio = s.most
	n.sink.Notef("the shape is %s, with %.1f%% of the parameters gone", s.name, 100*s.most)
	return s.within, chosenOf(s.tried, s.at), nil
}

// fitWhole fits a shape on all of the text. Where that leaves the goal's bound, a smaller amount is fitted: the last one is what is
// returned.
func (n *Narrower) fitWhole(ctx context.Context, s shape.Shape) (shape.Shape, *repair.Done, error) {
	ratio := n.amount.Ratio
	for fits := 1; ; fits++ {
		note := fmt.Sprintf("whole fit of %s of %g", s.Name, ratio)
		var used float64
		known := false
		if raw := n.journal.Note(note); raw != nil {
			known = json.Unmarshal(raw, &used) == nil
		}
		if !known {
			q := n.request(s)
			q.Compare = n.Goal.MaxKLD > 0
			done, err := repair.Run(ctx, n.src, q, n.sink)
			if err != nil {
				return s, nil, err
			}
			r := done.Result
			if !n.Goal.OfQuality() {
				return s, done, nil
			}
			used = n.used(n.loss(lost(r)))
			if used <= 1 {
				return s, done, nil
			}
			n.sink.Notef("fitted on all of the text it loses %.2f times what the bound allows: less is removed", used)
			if err := errors.Join(n.journal.SetNote(note, used), done.Remove()); err != nil {
				return s, nil, err
			}
			if fits == wholeFits {
				return s, nil, n.Goal.Fail("no fit on all of the text was within the bound; give a larger one, or --ratio")
			}
			if err := n.reload(ctx); err != nil {
				return s, nil, err
			}
		}
		next := s
		for i, aim := 0, (shape.Point{Ratio: ratio, Used: used / wholeAim}).Scaled(); next.Equal(s); i++ {
			if i == sameShape {
				return s, nil, n.Goal.Fail("no less can be removed than what loses too much; give a larger bound, or --ratio")
			}
			var err error
			ratio = min(passBy*ratio, aim)
			if next, err = n.named(ctx, s.Name, ratio); err != nil {
				return s, nil, err
			}
		}
		s = next
		if err := n.tellLess(s); err != nil {
			return s, nil, err
		}
	}
}

// tellLess tells a shape that is fitted instead of one that lost too much.
func (n *Narrower) tellLess(s shape.Shape) error {
	step, err := n.stepOf(s)
	if err == nil {
		n.sink.Notef("the shape is %s, %s, with %.1f%% of the parameters gone", s.Name, s.Describe(n.widest()), 100*step.Ratio)
	}
	return err
}

// onAll is added to the name of a shape that was not tried before it was fitted on all of the text.
const onAll = ", fitted on all of the text"

// taken are the shapes that were tried with the mark on the last one, which was fitted instead of the one whose trial led to it. It comes
// to them with what its fit lost, unless it was tried, too.
func taken(tried []plan.Shape, last plan.Shape) []plan.Shape {
	out, found := slices.Clone(tried), false
	for i, t := range out {
		same := t.Name == last.Name && t.Keeps == last.Keeps && t.Ratio == last.Ratio
		out[i].Chosen, found = same && !found, found || same
	}
	if !found {
		last.Name, last.Chosen = last.Name+onAll, true
		out = append(out, last)
	}
	return out
}

// reload loads the original again, after a fit of it.
func (n *Narrower) reload(ctx context.Context) error {
	if err := n.src.LoadPlain(ctx); err != nil {
		return err
	}
	return n.loadTwin(ctx)
}
