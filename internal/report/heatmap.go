package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// heat is the heat map: for each kind of block a panel of layers (to the right) by steps (downwards). A cell is what the score
// would become if that block went next.
type heat struct {
	Title, Desc   string
	What          string // what the numbers are
	Width, Height int
	Panels        []heatPanel
	Columns       []tick // layers, at the middle of their cells
	Legend        []heatClass
	Numbers       bool    // there is room for numbers in the cells
	Left          float64 // x of the first cell
	Cell, RowSize float64 // width and height of a cell
	Estimated     bool
	Missing       bool // some candidates were not scored
	Gone          bool // some cells are of blocks that went earlier
}

type heatPanel struct {
	Name string // above it
	Y    float64
	Rows []heatRow
	Axis float64 // y of the numbers of layers
}

type heatRow struct {
	Index int     // of the step
	Label string  // what it removed
	Y     float64 // of its upper edge
	Cells []heatCell
}

type heatCell struct {
	X         float64
	Class     int    // of heatClass; -1 is not scored, -2 is gone
	Number    string // in the cell
	Title     string
	Chosen    bool
	Estimated bool
}

// heatClass is a range of values with one colour: Class 0 is better than before, the others are ever worse. X and Y are where it is in
// the legend.
type heatClass struct {
	Class int
	Text  string
	Frame bool
	X, Y  float64
}

// The classes of cells without a value.
const (
	notScored = -1
	gone      = -2
)

const (
	heatLeast = 420 // width
	heatTop   = 26  // above a panel, for its name
	heatAxis  = 30  // below it
	worse     = 6   // classes of what is worse than before

	numberWidth = 24 // least width of a cell that has room for its number

	// What is larger is not drawn: no model is, but a plan's file may say so.
	maxLayers = 1024
	maxCells  = 100_000
)

// compared reports whether some step scored more than what it removed.
func (in Input) compared() bool {
	return slices.ContainsFunc(in.Plan.Steps, func(s search.Step) bool { return len(s.Candidates) > 1 })
}

// cellWidth returns the width of a layer's cells: as much as a wide page has, within what looks well.
func cellWidth(layers int) float64 {
	return float64(min(48, max(11, 900/max(layers, 1))))
}

// layers is how many layers the model has by its blocks' numbers, and whether that many can be drawn.
func (in Input) layers() (n int, drawn bool) {
	for _, b := range in.Plan.Model.Blocks.Blocks() {
		n = max(n, b.Layer+1)
	}
	return n, n <= maxLayers
}

// heatMap lays out all scores of the plan; ok is false where no step has more than one.
func (in Input) heatMap() (h heat, ok bool) {
	p := in.Plan
	layers, drawn := in.layers()
	cells, values := in.heatCells()
	if !drawn || !in.compared() || len(p.Steps)*len(p.Model.Blocks) > maxCells {
		return h, false
	}
	bounds := classBounds(values)
	h = heat{Title: "Heat map of block importance", What: heatWhat(isKLD(p)), Left: in.heatLeft(), Legend: legend(bounds, isKLD(p))}
	h.Cell = cellWidth(layers)
	h.RowSize, h.Numbers = min(26, max(16, h.Cell)), h.Cell >= numberWidth
	h.Width = max(int(h.Left+float64(layers)*h.Cell)+8, heatLeast)
	every := max(1, (layers+31)/32)
	for l := 0; l < layers; l += every {
		h.Columns = append(h.Columns, tick{h.Left + (float64(l)+0.5)*h.Cell, strconv.Itoa(l)})
	}
	y := 0.0
	for _, kind := range in.panels() {
		panel := heatPanel{Name: kind.name, Y: y + heatTop}
		for k := range p.Steps {
			row := heatRow{Index: k + 1, Label: in.stepName(k), Y: panel.Y + float64(k)*h.RowSize}
			for l := range layers {
				b := blockmask.Block{Layer: l, Kind: kind.kind}
				if !p.Model.Blocks.Has(b) {
					continue
				}
				row.Cells = append(row.Cells, in.heatCell(&h, cells[k], b, k, bounds))
			}
			panel.Rows = append(panel.Rows, row)
		}
		panel.Axis = panel.Y + float64(len(p.Steps))*h.RowSize + 16
		y = panel.Y + float64(len(p.Steps))*h.RowSize + heatAxis
		h.Panels = append(h.Panels, panel)
	}
	h.placeLegend(y + 6)
	h.Desc = fmt.Sprintf("%s by %s; %s. The table of all scores has the numbers.", plural(layers, "layer"), plural(len(p.Steps), "step"), h.What)
	return h, true
}

// panels are the kinds of blocks that candidates are of. Whole layers have one panel, for their mixers stand for them.
func (in Input) panels() []panelKind {
	mixer, ffn := panelKind{blockmask.Mixer, "Attention (or other mixers), by layer"}, panelKind{blockmask.FFN, "FFN, by layer"}
	switch in.Plan.Settings.Unit {
	case blockmask.Attn:
		return []panelKind{mixer}
	case blockmask.Ffn:
		return []panelKind{ffn}
	case blockmask.Whole:
		return []panelKind{{blockmask.Mixer, "Whole layers"}}
	}
	return []panelKind{mixer, ffn}
}

type panelKind struct {
	kind blockmask.Kind
	name string
}

func heatWhat(kld bool) string {
	if kld {
		return "change of the KL divergence, in thousandths of a nat, if that block went next"
	}
	return "change of perplexity, in per cent, if that block went next"
}

// scored is what a step knows about a block.
type scored struct {
	search.Candidate
	diff float64 // from the score before the step: see difference
}

// heatCells returns what each step scored, by block, and all differences that are finite. A block of several candidates counts with the
// best of them.
func (in Input) heatCells() (cells []map[blockmask.Block]scored, values []float64) {
	p, before := in.Plan, in.Plan.Base
	for _, s := range p.Steps {
		step := map[blockmask.Block]scored{}
		for _, c := range s.Candidates {
			d := difference(isKLD(p), before, c.Score)
			if !math.IsInf(d, 0) && !math.IsNaN(d) {
				values = append(values, d)
			}
			for _, b := range c.Mask.Blocks() {
				if old, ok := step[b]; !ok || c.Score < old.Score {
					step[b] = scored{c, d}
				}
			}
		}
		cells, before = append(cells, step), s.Score
	}
	return cells, values
}

// heatCell is the cell of block b in step k.
func (in Input) heatCell(h *heat, step map[blockmask.Block]scored, b blockmask.Block, k int, bounds []float64) heatCell {
	p := in.Plan
	c := heatCell{X: h.Left + float64(b.Layer)*h.Cell, Class: notScored}
	s, ok := step[b]
	if i := slices.IndexFunc(p.Steps[:k], func(s search.Step) bool { return s.Removed.Has(b) }); i >= 0 {
		c.Class, c.Title, h.Gone = gone, fmt.Sprintf("%s went in step %d", b, i+1), true
		return c
	} else if !ok {
		c.Title, h.Missing = fmt.Sprintf("step %d: %s was not scored", k+1, b), true
		return c
	}
	before := p.Base
	if k > 0 {
		before = p.Steps[k-1].Score
	}
	c.Class, c.Chosen, c.Estimated = classOf(s.diff, bounds), s.Mask.Equal(p.Steps[k].Removed), s.Sequences > 0
	h.Estimated = h.Estimated || c.Estimated
	if h.Numbers {
		c.Number = cellNumber(s.diff, isKLD(p))
	}
	c.Title = fmt.Sprintf("step %d: without %s %s %s, %s", k+1, s.Mask, shortMetric(p), scoreText(s.Score, c.Estimated), change(isKLD(p), before, s.Score))
	if c.Estimated {
		c.Title += ", estimated from " + plural(s.Sequences, "sequence")
	}
	if c.Chosen {
		c.Title += ": removed"
	}
	return c
}

// cellNumber writes a difference in at most four characters: per cent, or thousandths of a nat.
func cellNumber(d float64, kld bool) string {
	v := 100 * d
	if kld {
		v = 1000 * d
	}
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "∞"
	case math.Abs(v) < 9.95:
		if text := minus(fmt.Sprintf("%.1f", v)); text != "\u22120.0" {
			return text
		}
		return "0.0"
	case math.Abs(v) < 999.5:
		return minus(fmt.Sprintf("%.0f", v))
	case v < 9950:
		return fmt.Sprintf("%.0fk", v/1000)
	default:
		return "≫"
	}
}

// classBounds returns up to worse-1 round numbers that divide the values above 0 into classes.
func classBounds(values []float64) []float64 {
	var positive []float64
	for _, v := range values {
		if v > 0 {
			positive = append(positive, v)
		}
	}
	if len(positive) == 0 {
		return nil
	}
	slices.Sort(positive)
	at := func(part float64) float64 { return positive[int(part*float64(len(positive)-1))] }
	low, high := at(0.08), max(at(0.96), at(0.08)*1.01)
	all := ladder(low, high, 1, 2, 5)
	if len(all) < worse-1 {
		all = ladder(low, high, 1, 1.5, 2, 3, 5, 7)
	}
	if len(all) < worse {
		return all
	}
	var out []float64
	for i := range worse - 1 {
		out = append(out, all[i*(len(all)-1)/(worse-2)])
	}
	return out
}

// classOf returns the class of a difference: 0 where the score got better.
func classOf(d float64, bounds []float64) int {
	if d < 0 {
		return 0
	}
	class := 1
	for _, b := range bounds {
		if !(d < b) {
			class++
		}
	}
	return class
}

// legend names the classes.
func legend(bounds []float64, kld bool) []heatClass {
	unit, name := 100.0, "%"
	if kld {
		unit, name = 1000, ""
	}
	text := func(v float64) string { return tickText(unit*v) + name }
	out := []heatClass{{Class: 0, Text: "better than before"}}
	if len(bounds) == 0 {
		return append(out, heatClass{Class: 1, Text: "worse"})
	}
	out = append(out, heatClass{Class: 1, Text: "up to " + text(bounds[0]) + " worse"})
	for i := 1; i < len(bounds); i++ {
		out = append(out, heatClass{Class: i + 1, Text: text(bounds[i-1]) + " to " + text(bounds[i])})
	}
	return append(out, heatClass{Class: len(bounds) + 1, Text: "more than " + text(bounds[len(bounds)-1])})
}

// placeLegend adds the classes of cells that say something else than a value, and puts the legend below y, as wide as the map.
func (h *heat) placeLegend(y float64) {
	h.Legend = append(h.Legend, heatClass{Class: 1, Frame: true, Text: "removed in this step"})
	if h.Gone {
		h.Legend = append(h.Legend, heatClass{Class: gone, Text: "removed earlier"})
	}
	if h.Missing {
		h.Legend = append(h.Legend, heatClass{Class: notScored, Text: "not scored"})
	}
	x := 0.0
	for i := range h.Legend {
		width := 42 + 6.9*float64(len([]rune(h.Legend[i].Text)))
		if x > 0 && x+width > float64(h.Width) {
			x, y = 0, y+22
		}
		h.Legend[i].X, h.Legend[i].Y = x, y
		x += width
	}
	h.Height = int(y) + 26
}

// heatLeft is the room for the names of steps.
func (in Input) heatLeft() float64 {
	longest := 0
	for k := range in.Plan.Steps {
		longest = max(longest, len([]rune(in.stepName(k))))
	}
	return 48 + 7.2*float64(max(longest, 6))
}

// stepName is what step k removes, in short.
func (in Input) stepName(k int) string {
	m := in.Plan.Steps[k].Removed
	if in.Plan.Settings.Unit == blockmask.Whole {
		return fmt.Sprintf("layer %d", m[0].Layer)
	}
	return clip(m.String(), 18)
}

// clip cuts s to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
