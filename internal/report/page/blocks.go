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
// of their step; nil where the model is too large.
func (in Input) blockMap() *chart.BlockMap {
	p, done := in.Plan, in.steps()
	layers, drawn := in.layers()
	if !drawn {
		return nil
	}
	m := chart.NewBlockMap(in.stepNames(), layers)
	m.Title, m.Desc = "Map of the model's blocks", fmt.Sprintf("Removed, in this order: %s.", in.order(done))
	for _, kind := range []panelKind{{blockmask.Mixer, "attention"}, {blockmask.FFN, "FFN"}} {
		var row []chart.MapCell
		for _, b := range p.Model.Blocks.Blocks() {
			if b.Kind != kind.kind {
				continue
			}
			c := chart.MapCell{Layer: b.Layer, Title: b.String() + " is kept"}
			if i := slices.IndexFunc(p.Steps[:done], func(s search.Step) bool { return s.Removed.Has(b) }); i >= 0 {
				c.Removed, c.Number, c.Title = true, strconv.Itoa(i+1), fmt.Sprintf("%s is removed in step %d", b, i+1)
			}
			row = append(row, c)
		}
		m.AddRow(kind.name, row)
	}
	return m
}

// order names what the first k steps remove, in their order.
func (in Input) order(k int) string {
	text := ""
	for i, s := range in.Plan.Steps[:k] {
		if i > 0 {
			text += ", "
		}
		text += s.Removed.String()
	}
	if text == "" {
		return "nothing"
	}
	return text
}
