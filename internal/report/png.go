package report

import (
	"math"

	"github.com/go-analyze/charts"
)

// pngScale is how many pixels of a PNG one unit of a chart's geometry has.
const pngScale = 2

// canvas draws geometry with the library that has fonts and smooth lines. Its own kinds of charts are not used: their x axis has
// categories at equal distances, and ours has sizes.
type canvas struct {
	p         *charts.Painter
	left, top float64 // the point of the geometry that is the upper left corner
}

// The colours of files: those of a page in the light.
var (
	paper  = charts.ColorFromHex("#fcfbf9")
	ink    = charts.ColorFromHex("#22262b")
	soft   = charts.ColorFromHex("#5a626c")
	rule   = charts.ColorFromHex("#e2ded6")
	panel  = charts.ColorFromHex("#f4f1eb")
	accent = charts.ColorFromHex("#0b62a4")
	mark   = charts.ColorFromHex("#a8480a")

	classColours = []charts.Color{
		charts.ColorFromHex("#cfe4f6"), charts.ColorFromHex("#fdf1df"), charts.ColorFromHex("#fadcae"), charts.ColorFromHex("#f3b970"),
		charts.ColorFromHex("#e2913f"), charts.ColorFromHex("#ad5614"), charts.ColorFromHex("#6f3005"),
	}
)

// png draws the chart as a file.
func (d drawing) png() ([]byte, error) {
	c := canvas{charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputPNG, Width: pngScale * d.Width, Height: pngScale * d.Height,
	}), float64(d.ViewLeft), float64(d.ViewTop)}
	c.rect(c.left, c.top, float64(d.Width), float64(d.Height), paper, paper, 0)
	c.text(d.Head, 0, -14, 15, "start", ink)
	for i, line := range d.Foot {
		c.text(line, 0, float64(d.FootY+i*footLine), 12, "start", soft)
	}
	switch {
	case d.Curve != nil:
		c.curve(d.Curve)
	case d.Heat != nil:
		c.heat(d.Heat)
	case d.Map != nil:
		c.blockMap(d.Map)
	}
	return c.p.Bytes()
}

func px(v float64) int { return int(math.Round(pngScale * v)) }

func (c canvas) at(x, y float64) charts.Point {
	return charts.Point{X: px(x - c.left), Y: px(y - c.top)}
}

func (c canvas) line(colour charts.Color, width float64, points ...xy) {
	out := make([]charts.Point, len(points))
	for i, p := range points {
		out[i] = c.at(p.X, p.Y)
	}
	c.p.LineStroke(out, colour, pngScale*width)
}

func (c canvas) rect(x, y, width, height float64, fill, stroke charts.Color, strokeWidth float64) {
	a, b := c.at(x, y), c.at(x+width, y+height)
	c.p.FilledRect(a.X, a.Y, b.X, b.Y, fill, stroke, pngScale*strokeWidth)
}

// text writes s with its baseline at y; anchor is SVG's text-anchor and size is in units.
func (c canvas) text(s string, x, y, size float64, anchor string, colour charts.Color) {
	if s == "" {
		return
	}
	const dotsPerInch, pointsPerInch = 92, 72 // the library's resolution
	style := charts.FontStyle{FontSize: pngScale * size * pointsPerInch / dotsPerInch, FontColor: colour, Font: charts.GetDefaultFont()}
	at, width := c.at(x, y), c.p.MeasureText(s, 0, style).Width()
	switch anchor {
	case "middle":
		at.X -= width / 2
	case "end":
		at.X -= width
	}
	c.p.Text(s, at.X, at.Y, 0, style)
}

func (c canvas) curve(v *curve) {
	for _, t := range v.YTicks {
		c.line(rule, 1, xy{v.Left, t.At}, xy{v.Right, t.At})
		c.text(t.Text, v.Left-8, t.At+4, 13, "end", soft)
	}
	for _, t := range v.XTicks {
		c.line(soft, 1, xy{t.At, v.Bottom}, xy{t.At, v.Bottom + 5})
		c.text(t.Text, t.At, v.Bottom+20, 13, "middle", soft)
	}
	c.line(soft, 1, xy{v.Left, v.Bottom}, xy{v.Right, v.Bottom})
	c.text(v.XName, (v.Left+v.Right)/2, v.Bottom+44, 13, "middle", soft)
	if v.HasBase {
		a, b := c.at(v.Left, v.BaseY), c.at(v.Right, v.BaseY)
		c.p.DashedLineStroke([]charts.Point{a, b}, soft, pngScale, []float64{4, 8})
	}
	if len(v.Rest) > 1 {
		c.line(soft, 1.5, v.Rest...)
	}
	if len(v.Line) > 1 {
		c.line(accent, 2.25, v.Line...)
	}
	for _, p := range v.Points {
		c.point(p)
	}
}

func (c canvas) point(p point) {
	if p.Error {
		for _, s := range [][2]xy{{{p.X, p.Low}, {p.X, p.High}}, {{p.X - 5, p.Low}, {p.X + 5, p.Low}}, {{p.X - 5, p.High}, {p.X + 5, p.High}}} {
			c.line(accent, 1.5, s[0], s[1])
		}
	}
	colour := accent
	if p.Beyond {
		colour = soft
	}
	at := c.at(p.X, p.Y)
	switch p.Shape {
	case "diamond":
		c.p.FilledDiamond(at.X, at.Y, px(15), px(15), accent, paper, pngScale*1.5)
	case "square":
		c.rect(p.X-5.5, p.Y-5.5, 11, 11, mark, paper, 1.5)
	case "ring":
		c.p.Circle(pngScale*4.5, at.X, at.Y, paper, colour, pngScale*2)
	default:
		c.p.Circle(pngScale*5.5, at.X, at.Y, colour, paper, pngScale*1.5)
	}
	if p.Label != "" {
		c.text(p.Label, p.LabelX, p.LabelY, 12, p.Anchor, ink)
	}
}

// classColour is the fill of a cell of that class, and whether text on it is to be light.
func classColour(class int) (fill charts.Color, dark bool) {
	if class < 0 {
		return paper, false
	}
	return classColours[class], class >= 5
}

func (c canvas) heat(h *heat) {
	for _, p := range h.Panels {
		c.text(p.Name, 0, p.Y-9, 13, "start", ink)
		for _, t := range h.Columns {
			c.text(t.Text, t.At, p.Axis, 13, "middle", soft)
		}
		for _, r := range p.Rows {
			c.text(tickText(float64(r.Index)), 20, r.Y+h.RowSize/2+4.5, 13, "end", soft)
			c.text(r.Label, 30, r.Y+h.RowSize/2+4.5, 13, "start", soft)
			for _, cell := range r.Cells {
				c.heatCell(cell, r.Y, h.Cell, h.RowSize)
			}
		}
	}
	for _, l := range h.Legend {
		c.heatCell(heatCell{X: l.X, Class: l.Class, Chosen: l.Frame}, l.Y, 18, 14)
		c.text(l.Text, l.X+24, l.Y+12, 13, "start", soft)
	}
}

func (c canvas) heatCell(cell heatCell, y, width, height float64) {
	fill, dark := classColour(cell.Class)
	edge := paper
	if cell.Class == notScored {
		edge = rule
	}
	c.rect(cell.X, y, width, height, fill, edge, 1)
	if cell.Class == gone {
		at := c.at(cell.X+width/2, y+height/2)
		c.p.Circle(pngScale*2, at.X, at.Y, soft, soft, 0)
	}
	if cell.Number != "" {
		colour := ink
		if dark {
			colour = paper
		}
		number := cell.Number
		if cell.Estimated { // in the page it is in italics, which the library's font lacks
			number = "~" + number
		}
		c.text(number, cell.X+width/2, y+height/2+4, 11, "middle", colour)
	}
	if cell.Chosen {
		corners := []xy{{cell.X + 1.5, y + 1.5}, {cell.X + width - 1.5, y + 1.5}, {cell.X + width - 1.5, y + height - 1.5}, {cell.X + 1.5, y + height - 1.5}, {cell.X + 1.5, y + 1.5}}
		c.line(ink, 2.25, corners...)
	}
}

func (c canvas) blockMap(m *blockMap) {
	for _, r := range m.Rows {
		c.text(r.Name, 0, r.Y+m.RowSize/2+4.5, 13, "start", ink)
		for _, cell := range r.Cells {
			fill, edge := panel, rule
			if cell.Removed {
				fill, edge = mark, paper
			}
			c.rect(cell.X, r.Y, m.Cell, m.RowSize, fill, edge, 1)
			c.text(cell.Number, cell.X+m.Cell/2, r.Y+m.RowSize/2+4.5, 12, "middle", paper)
		}
	}
	for _, t := range m.Columns {
		c.text(t.Text, t.At, m.Axis, 13, "middle", soft)
	}
}
