package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Model is what a search knows of a model, besides scores.
type Model struct {
	Blocks []blockmask.Block          // all blocks, in order
	Params map[blockmask.Block]uint64 // parameters that go with each block
	Total  uint64                     // parameters of the whole model, embeddings included

	// Times are what the blocks take of a pass, in any unit, and Rest what everything else takes. They predict the speed of what is
	// left; nil is unknown.
	Times map[blockmask.Block]float64
	Rest  float64

	// Quality measures what a goal of quality bounds, where the search's score is not that itself: see [Goal.MaxPPLRatio]. Nil takes
	// the score.
	Quality func(ctx context.Context, removed blockmask.Mask) (float64, error)

	// Size predicts the bytes of the output file with removed left out. It may be nil, or fail for a mask that cannot be
	// written: then that size is unknown.
	Size func(removed blockmask.Mask) (int64, error)
}

// ParamsOf returns the parameters of the blocks that mask removes. Parts of blocks count nothing: no unit of a search is one.
func (m *Model) ParamsOf(mask blockmask.Mask) uint64 {
	var n uint64
	for _, b := range mask.Blocks() {
		n += m.Params[b]
	}
	return n
}

// State describes the model without removed.
func (m *Model) State(removed blockmask.Mask) State {
	s := State{Blocks: removed.Len(), Ratio: float64(m.ParamsOf(removed)) / float64(m.Total)}
	if m.Size != nil {
		if size, err := m.Size(removed); err == nil {
			s.Size = size
		}
	}
	s.Speedup = m.speedup(removed)
	return s
}

// speedup predicts how many times as fast the model is without removed; 0 = unknown.
func (m *Model) speedup(removed blockmask.Mask) float64 {
	if m.Times == nil {
		return 0
	}
	whole, left := m.Rest, m.Rest
	for _, b := range m.Blocks {
		whole += m.Times[b]
		if !removed.Has(b) {
			left += m.Times[b]
		}
	}
	return whole / left
}

// Check returns an error if goal makes no sense for the model or cannot be reached by removing units: what [Run] finds before it
// evaluates anything.
func (m *Model) Check(unit blockmask.Unit, goal Goal) error {
	if err := m.validate(); err != nil {
		return err
	}
	return m.check(unit, goal)
}

// Steps estimates how many steps a search by unit that has removed so much still takes to goal; 0 if that is a bound of quality. Where single
// blocks are the units, it reckons with two attentions to an FFN in the end: attentions are what models can rather do without, and go first
// (arXiv 2406.10594).
func (m *Model) Steps(unit blockmask.Unit, goal Goal, removed blockmask.Mask) int {
	if goal.OfQuality() {
		return 0
	}
	for n := 0; ; n++ {
		cands := m.Next(unit, removed)
		if goal.Reached(m.State(removed)) || len(cands) == 0 {
			return n
		}
		removed = removed.Union(typical(cands, removed))
	}
}

// typical is a candidate, from the middle of the model, such as the next step may remove.
func typical(cands []blockmask.Mask, removed blockmask.Mask) blockmask.Mask {
	of := map[blockmask.Kind]int{}
	for _, b := range removed.Blocks() {
		of[b.Kind]++
	}
	wanted := blockmask.Mixer
	if of[blockmask.Mixer] >= 2*(of[blockmask.FFN]+1) {
		wanted = blockmask.FFN
	}
	var some []blockmask.Mask
	for _, c := range cands {
		if b := c.Blocks(); len(b) == 1 && b[0].Kind == wanted {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		some = cands
	}
	return some[len(some)/2]
}

func (m *Model) validate() error {
	if len(m.Blocks) == 0 {
		return errors.New("this model has no blocks that can be removed")
	}
	for _, b := range m.Blocks {
		if m.Params[b] == 0 {
			return fmt.Errorf("block %s has no parameters", b)
		}
	}
	for _, b := range m.Blocks {
		if m.Times != nil && !(m.Times[b] > 0) {
			return fmt.Errorf("block %s takes no time", b)
		}
	}
	if n := m.ParamsOf(blockmask.New(m.Blocks...)); n > m.Total {
		return fmt.Errorf("the blocks have %d parameters, the whole model only %d", n, m.Total)
	}
	return nil
}

// Next returns what may be removed after removed. One unit always stays where the units are all that the model has: a model
// without blocks is no model.
func (m *Model) Next(unit blockmask.Unit, removed blockmask.Mask) []blockmask.Mask {
	cands := blockmask.Candidates(unit, m.Blocks, removed)
	if len(cands) == 1 && removed.Len()+cands[0].Len() == len(m.Blocks) {
		return nil
	}
	return cands
}

// Most returns a mask such that every search by unit can remove at least as much: all units, less the one with the most
// parameters where one must stay.
func (m *Model) Most(unit blockmask.Unit) blockmask.Mask {
	if unit == blockmask.Pairs {
		return m.mostPairs()
	}
	cands := blockmask.Candidates(unit, m.Blocks, nil)
	all := blockmask.Of(slices.Concat(cands...)...)
	if len(all) < len(m.Blocks) {
		return all
	}
	keep := slices.MaxFunc(cands, func(a, b blockmask.Mask) int { return cmp.Compare(m.ParamsOf(a), m.ParamsOf(b)) })
	return all.Without(keep.Blocks()...)
}

// mostPairs is Most for pairs. However pairs go, each takes a mixer and an FFN, and it goes on until one kind is gone; or, with
// as many of each, until one pair is left. What stays is at most the largest of their kind.
func (m *Model) mostPairs() blockmask.Mask {
	var kinds [2][]blockmask.Block
	for _, b := range m.Blocks {
		kinds[b.Kind] = append(kinds[b.Kind], b)
	}
	pairs := min(len(kinds[0]), len(kinds[1]))
	if len(kinds[0]) == len(kinds[1]) {
		pairs--
	}
	var gone blockmask.Mask
	for _, blocks := range kinds {
		slices.SortStableFunc(blocks, func(a, b blockmask.Block) int { return cmp.Compare(m.Params[a], m.Params[b]) })
		gone = gone.With(blocks[:max(0, pairs)]...)
	}
	return gone
}

// check returns an error if goal makes no sense for the model or cannot be reached, before anything is evaluated.
func (m *Model) check(unit blockmask.Unit, goal Goal) error {
	if err := goal.Validate(); err != nil {
		return err
	}
	most := m.Most(unit)
	if len(most) == 0 {
		return goal.Fail("this model has nothing to remove of kind %s", unit)
	}
	end := m.State(most)
	switch {
	case goal.Blocks > end.Blocks:
		return goal.Fail("cannot remove %d blocks; of kind %s at most %d can go", goal.Blocks, unit, end.Blocks)
	case goal.Ratio > end.Ratio:
		return goal.Fail("cannot remove %.4g of the parameters; of kind %s at most %.4g can go", goal.Ratio, unit, end.Ratio)
	case goal.Speedup > 0 && m.Times == nil:
		return goal.Fail("a target speedup needs the times of the blocks")
	case goal.Speedup > end.Speedup:
		return goal.Fail("cannot get %.4g times as fast; of kind %s at most %.4g times is possible", goal.Speedup, unit, end.Speedup)
	case goal.Size > 0:
		return m.checkSize(unit, goal, end.Size)
	}
	return nil
}

func (m *Model) checkSize(unit blockmask.Unit, goal Goal, smallest int64) error {
	if m.Size == nil {
		return goal.Fail("a target size needs a layout to predict sizes for")
	}
	whole, err := m.Size(nil)
	switch {
	case err != nil:
		return fmt.Errorf("predict the size of the whole model: %w", err)
	case whole <= goal.Size:
		return goal.Fail("nothing to remove: the model has %d bytes already, the target is %d", whole, goal.Size)
	case smallest > goal.Size:
		return goal.Fail("cannot reach %d bytes; of kind %s the least is %d", goal.Size, unit, smallest)
	}
	return nil
}
