package report

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// blockMap is the model as two rows of blocks, mixers over FFNs, in which the removed ones have the number of their step.
type blockMap struct {
	Title, Desc   string
	Width, Height int
	Left          float64 // x of the first block
	Cell          float64 // width of a block
	RowSize       float64 // height of a block
	Rows          []mapRow
	Columns       []tick
	Axis          float64 // y of the numbers of layers
}

type mapRow struct {
	Name  string
	Y     float64
	Cells []mapCell
}

type mapCell struct {
	X       float64
	Removed bool
	Number  string // of the step, if there is room
	Title   string
}

// blockMap lays out the model without the blocks of the steps that were carried out; ok is false where it is too large.
func (in Input) blockMap() (m blockMap, ok bool) {
	p, done := in.Plan, in.steps()
	layers, ok := in.layers()
	if !ok {
		return m, false
	}
	m = blockMap{Title: "Map of the model's blocks", Left: in.heatLeft(), Cell: cellWidth(layers)}
	m.RowSize = 28
	m.Width = max(int(m.Left+float64(layers)*m.Cell)+8, heatLeast)
	for l := 0; l < layers; l += max(1, (layers+31)/32) {
		m.Columns = append(m.Columns, tick{m.Left + (float64(l)+0.5)*m.Cell, strconv.Itoa(l)})
	}
	y := 4.0
	for _, kind := range []panelKind{{blockmask.Mixer, "attention"}, {blockmask.FFN, "FFN"}} {
		row := mapRow{Name: kind.name, Y: y}
		for _, b := range p.Model.Blocks.Blocks() {
			if b.Kind != kind.kind {
				continue
			}
			c := mapCell{X: m.Left + float64(b.Layer)*m.Cell, Title: b.String() + " is kept"}
			if i := slices.IndexFunc(p.Steps[:done], func(s search.Step) bool { return s.Removed.Has(b) }); i >= 0 {
				c.Removed, c.Title = true, fmt.Sprintf("%s is removed in step %d", b, i+1)
				if m.Cell >= 18 {
					c.Number = strconv.Itoa(i + 1)
				}
			}
			row.Cells = append(row.Cells, c)
		}
		m.Rows = append(m.Rows, row)
		y += m.RowSize + 4
	}
	m.Axis, m.Height = y+14, int(y)+24
	m.Desc = fmt.Sprintf("Removed, in this order: %s.", in.order(done))
	return m, true
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
