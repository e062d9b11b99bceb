package page

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/chart"
	"github.com/ggufprune/ggufprune/search"
)

// blockMap draws the model as two rows of blocks, mixers over FFNs, in which those of the steps that were carried out have the number
// of their step. Of an FFN that lost channels that part is filled, and its number is how many it keeps. It is nil where the model is too
// large.
func (in Input) blockMap() *chart.BlockMap {
	p, done := in.Plan, in.steps()
	layers, drawn := in.layers()
	if !drawn {
		return nil
	}
	labels := in.stepNames()
	if in.narrowed().FFNs > 0 && !in.compared() {
		labels = nil // no heat map stands below
	}
	m := chart.NewBlockMap(labels, layers)
	m.Title, m.Desc = "Map of the model's blocks", fmt.Sprintf("Removed, in this order: %s.", in.order(done))
	for _, kind := range []panelKind{{blockmask.Mixer, "attention"}, {blockmask.FFN, "FFN"}} {
		var row []chart.MapCell
		for _, b := range p.Model.Blocks.Blocks() {
			if b.Kind == kind.kind {
				row = append(row, in.mapCell(b, done))
			}
		}
		m.AddRow(kind.name, row)
	}
	return m
}

// mapCell is what became of block b in the first k steps.
func (in Input) mapCell(b blockmask.Block, k int) chart.MapCell {
	c := chart.MapCell{Layer: b.Layer, Title: b.String() + " is kept"}
	cut, touched := in.Plan.Mask(k).Cut(b)
	switch {
	case !touched:
	case cut.Gone():
		i := slices.IndexFunc(in.Plan.Steps[:k], func(s search.Step) bool { return s.Removed.Has(b) })
		if i < 0 { // the last of several steps that each took a part
			i = in.lastTouch(b, k)
		}
		c.Removed, c.Number, c.Title = true, strconv.Itoa(i+1), fmt.Sprintf("%s is removed in step %d", b, i+1)
	case cut.Channels.Empty():
		c.Title = fmt.Sprintf("%s keeps %s", b, plural(cut.Experts.Len(), "expert"))
	default:
		kept, of := cut.Channels.Len(), in.width(b.Layer)
		c.Part = min(max(1-float64(kept)/float64(of), 1e-3), 1-1e-3)
		c.Numbers = []string{strconv.Itoa(kept), fmt.Sprintf("%.0f%%", 100*float64(kept)/float64(of))}
		c.Title = fmt.Sprintf("%s keeps %d of %d channels, in step %d", b, kept, of, in.lastTouch(b, k)+1)
	}
	return c
}

// lastTouch is the last of the first k steps, from 0, that takes something of b.
func (in Input) lastTouch(b blockmask.Block, k int) int {
	last := 0
	for i, s := range in.Plan.Steps[:k] {
		if _, ok := s.Removed.Cut(b); ok {
			last = i
		}
	}
	return last
}

// width is how many channels the FFN of a layer has. Where the plan does not say it, it is as many as its widest mask needs.
func (in Input) width(layer int) int {
	n := in.Plan.Model.Width(layer)
	if n > 0 {
		return n
	}
	for _, s := range in.Plan.Steps {
		for _, c := range s.Removed.Parts() {
			n = max(n, c.Channels.Max()+1)
		}
	}
	return n
}

// order names what the first k steps remove, in their order.
func (in Input) order(k int) string {
	text := ""
	for i, s := range in.Plan.Steps[:k] {
		if i > 0 {
			text += ", "
		}
		text += maskText(s.Removed, maxRemoved)
	}
	if text == "" {
		return "nothing"
	}
	return text
}

// maxRemoved is how long the text of a mask with channels may be in a table; what is longer is counted.
const maxRemoved = 60

// maskText names what a mask removes. Channels are counted where the text would be longer than most bytes.
func maskText(m blockmask.Mask, most int) string {
	if m.WholeBlocks() == nil {
		return m.String()
	}
	return m.Brief(most)
}

// narrowed says how many FFNs lost channels in the steps that were carried out, and which part of the channels of all of them stays.
type narrowed struct {
	FFNs       int // 0: none
	Kept, All  int // channels, of those FFNs together
	Low, High  int // the fewest and the most that one keeps
	From, Upto int // the fewest and the most that one had
}

func (in Input) narrowed() narrowed {
	var n narrowed
	for _, c := range in.Plan.Mask(in.steps()).Parts() {
		kept, of := c.Channels.Len(), in.width(c.Layer)
		if kept == 0 {
			continue
		}
		if n.FFNs == 0 {
			n.Low, n.From = kept, of
		}
		n.FFNs++
		n.Kept, n.All = n.Kept+kept, n.All+of
		n.Low, n.High, n.From, n.Upto = min(n.Low, kept), max(n.High, kept), min(n.From, of), max(n.Upto, of)
	}
	return n
}

// figure is the number at the top.
func (n narrowed) figure() figure {
	note := fmt.Sprintf("%s of %s in %s", between(n.Low, n.High), between(n.From, n.Upto), plural(n.FFNs, "FFN"))
	return figure{percent(float64(n.Kept) / float64(max(1, n.All))), "of the channels stay", note}
}

// between writes one number, or two as a range.
func between(low, high int) string {
	if low == high {
		return strconv.Itoa(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}
