package shape

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"sort"

	"github.com/ggufprune/ggufprune/blockmask"
)

// FFN is an FFN whose loss was measured at some widths.
type FFN struct {
	Block   blockmask.Block
	Full    int
	Widths  []int     // below Full, the largest first
	Losses  []float64 // at these
	Channel float64   // parameters of one channel
}

// Whole is a block that can go as a whole.
type Whole struct {
	Block  blockmask.Block
	Loss   float64
	Params float64
}

// The loss of an FFN is taken for a power of the part of its channels that is gone. Below 1 the power would say that the first channels
// cost the most, which downdating makes impossible; what looks like it is noise.
const (
	leastPower = 1
	mostPower  = 8
	leastLoss  = 1e-6 // nats; what is measured as less, or as a gain, is noise
)

// curve is the loss as a function of the part that is gone: scale times part to the power.
type curve struct{ scale, power float64 }

func (f FFN) curve() curve {
	gone := func(i int) float64 { return 1 - float64(f.Widths[i])/float64(f.Full) }
	loss := func(i int) float64 { return math.Max(f.Losses[i], leastLoss) }
	last := len(f.Widths) - 1
	power := 2.0
	if last > 0 {
		power = math.Log(loss(last)/loss(0)) / math.Log(gone(last)/gone(0))
	}
	power = min(max(power, leastPower), mostPower)
	return curve{scale: loss(last) / math.Pow(gone(last), power), power: power}
}

func (c curve) at(gone float64) float64 { return c.scale * math.Pow(gone, c.power) }

// LeastPart of an FFN's channels stays at least: measured losses are of one FFN alone, and say little about a model of which most is gone.
const LeastPart = 0.25

// move takes something away.
type move struct {
	rate  float64 // loss by parameter
	block blockmask.Block
	width int // 0: the whole block
}

// Allocate takes channels, and whole blocks, where they cost the least by parameter, until it fits; least is the part
// of its channels that every FFN keeps, and those of spared keep all.
func Allocate(name string, ffns []FFN, wholes []Whole, spared []blockmask.Block, least float64, grain int, fits Fits) (Shape, error) {
	var moves []move
	start := Shape{Name: name, Widths: map[blockmask.Block]int{}}
	for _, f := range ffns {
		start.Widths[f.Block] = f.Full
		if slices.Contains(spared, f.Block) {
			continue
		}
		c := f.curve()
		narrowest := max(grain, int(math.Ceil(least*float64(f.Full)/float64(grain)))*grain)
		last, loss, rate := f.Full, 0.0, 0.0
		for width := (f.Full - 1) / grain * grain; width >= narrowest; width -= grain {
			now := c.at(1 - float64(width)/float64(f.Full))
			// The curve is convex but for rounding, and for a first step that is no whole grain.
			rate = math.Max(rate, (now-loss)/(float64(last-width)*f.Channel))
			moves = append(moves, move{rate, f.Block, width})
			last, loss = width, now
		}
	}
	for _, w := range wholes {
		moves = append(moves, move{math.Max(w.Loss, leastLoss) / w.Params, w.Block, 0})
	}
	// The moves of one FFN stay in their order.
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(a.rate, b.rate) })
	after := func(n int) Shape {
		s := Shape{Name: name, Widths: maps.Clone(start.Widths)}
		for _, m := range moves[:n] {
			if m.width == 0 {
				s.Removed = s.Removed.With(m.block)
				continue
			}
			s.Widths[m.block] = min(s.Widths[m.block], m.width)
		}
		return s
	}
	var failed error
	n := sort.Search(len(moves), func(i int) bool {
		ok, err := fits(after(i + 1))
		failed = cmp.Or(failed, err)
		return ok
	})
	if failed != nil {
		return Shape{}, failed
	}
	if n == len(moves) {
		return Shape{}, errors.New("too much is to go to choose where")
	}
	return after(n + 1), nil
}
