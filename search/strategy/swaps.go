package strategy

import (
	"cmp"
	"context"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// swaps are the exchanges that a mask may make.
type swaps struct {
	parent blockmask.Mask
	in     []unitValue // what is removed, by what putting it back loses less: the most useful to put back first
	out    []unitValue // what is left, by what removing it costs: the cheapest first
	moves  []move      // by predicted change, lowest first
	allow  func(blockmask.Mask) bool
}

// unitValue is a unit with the change of the mean loss when it changes sides.
type unitValue struct {
	mask  blockmask.Mask
	delta float64
}

type move struct {
	child     blockmask.Mask
	predicted float64 // change of the mean loss
}

const (
	swapUnits = 12 // of each side are combined
	swapMost  = 3  // units change sides at once
)

// newSwaps measures what each unit is worth to parent, on the first sequences of the search half.
func (r *Refine) newSwaps(ctx context.Context, parent, start blockmask.Mask) (*swaps, error) {
	s := &swaps{parent: parent, allow: r.allowed(start)}
	few := r.Search[:min(len(r.Search), r.Rule.Looks(len(r.Search))[0])]
	if err := r.Ledger.Measure(ctx, few, parent, nil, true); err != nil {
		return nil, err
	}
	delta := func(m blockmask.Mask) float64 {
		sum := 0.0
		base := r.Ledger.Means(few, parent)
		for i, x := range r.Ledger.Means(few, m) {
			sum += (x - base[i]) / float64(len(few))
		}
		return sum
	}
	outs := r.Model.Next(r.Unit, parent)
	if err := r.Ledger.Measure(ctx, few, parent, outs, false); err != nil {
		return nil, err
	}
	for _, u := range outs {
		s.out = append(s.out, unitValue{u, delta(parent.Union(u))})
	}
	// What putting units back leaves has in common that everything else is gone.
	ins := r.units(parent)
	common := parent
	var rest []blockmask.Mask
	for _, u := range ins {
		common = common.Without(u.Blocks()...)
	}
	for _, u := range ins {
		rest = append(rest, parent.Without(u.Blocks()...).Without(common.Blocks()...))
	}
	if len(ins) == 1 { // then nothing but the unit distinguishes them
		if err := r.Ledger.Measure(ctx, few, common, nil, true); err != nil {
			return nil, err
		}
	} else if err := r.Ledger.Measure(ctx, few, common, rest, false); err != nil {
		return nil, err
	}
	for _, u := range ins {
		s.in = append(s.in, unitValue{u, delta(parent.Without(u.Blocks()...))})
	}
	s.combine()
	return s, nil
}

// units returns what of parent may be put back at once.
func (r *Refine) units(parent blockmask.Mask) []blockmask.Mask {
	var out []blockmask.Mask
	switch r.Unit {
	case blockmask.Whole:
		out = blockmask.Candidates(r.Unit, parent.Blocks(), nil)
	case blockmask.Pairs:
		for _, a := range parent.Blocks() {
			for _, b := range parent.Blocks() {
				if u := blockmask.New(a, b); a.Kind == blockmask.Mixer && b.Kind == blockmask.FFN && r.paired(parent.Without(u.Blocks()...)) {
					out = append(out, u)
				}
			}
		}
	default:
		for _, b := range parent.Blocks() {
			out = append(out, blockmask.New(b))
		}
	}
	return out
}

// paired reports whether removing m leaves no more lone halves of layers than the model has anyway.
func (r *Refine) paired(m blockmask.Mask) bool {
	lone := func(m blockmask.Mask) int {
		n := 0
		for _, l := range blockmask.Pair(r.Model.Blocks, m) {
			if !l.Full() {
				n++
			}
		}
		return n
	}
	return lone(m) <= lone(nil)
}

// allowed returns the test that children must pass.
func (r *Refine) allowed(start blockmask.Mask) func(blockmask.Mask) bool {
	return func(m blockmask.Mask) bool {
		switch {
		case r.Unit == blockmask.Pairs && !r.paired(m):
			return false
		case r.Goal.Blocks > 0 || r.Goal.OfQuality():
			return m.Len() == start.Len()
		}
		return r.Goal.Reached(r.Model.State(m))
	}
}

// combine orders the exchanges of the best units by the sum of their changes.
func (s *swaps) combine() {
	byDelta := func(a, b unitValue) int { return cmp.Compare(a.delta, b.delta) }
	slices.SortStableFunc(s.in, byDelta)
	slices.SortStableFunc(s.out, byDelta)
	ins, outs := s.in[:min(len(s.in), swapUnits)], s.out[:min(len(s.out), swapUnits)]
	for k := 1; k <= swapMost; k++ {
		for _, a := range choices(ins, k) {
			kept := s.parent.Without(a.mask.Blocks()...)
			for _, b := range choices(outs, k) {
				if a.mask.Len() == b.mask.Len() || s.allow(kept.Union(b.mask)) {
					s.moves = append(s.moves, move{kept.Union(b.mask), a.delta + b.delta})
				}
			}
		}
	}
	slices.SortStableFunc(s.moves, func(a, b move) int { return cmp.Compare(a.predicted, b.predicted) })
}

// choices returns all unions of k different units with the sum of their changes.
func choices(units []unitValue, k int) []unitValue {
	if k == 0 {
		return []unitValue{{}}
	}
	var out []unitValue
	for i, u := range units {
		for _, rest := range choices(units[i+1:], k-1) {
			out = append(out, unitValue{u.mask.Union(rest.mask), u.delta + rest.delta})
		}
	}
	return out
}

// children takes the next moves that were not tried: three quarters of them the most promising, the rest at random.
func (r *Refine) children(s *swaps) []blockmask.Mask {
	n := r.Children
	if n == 0 {
		n = 16
	}
	var out []blockmask.Mask
	take := func(m blockmask.Mask) {
		if !r.tried[m.Key()] && s.allow(m) {
			r.tried[m.Key()] = true
			out = append(out, m)
		}
	}
	for _, m := range s.moves {
		if len(out) >= n-n/4 {
			break
		}
		take(m.child)
	}
	for range 8 * n {
		if len(out) >= n || len(s.moves) == 0 {
			break
		}
		// Two draws, the better one: towards the front, but everywhere.
		i := min(r.rng.IntN(len(s.moves)), r.rng.IntN(len(s.moves)))
		take(s.moves[i].child)
	}
	return out
}
