package chart

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

// newCanvas returns a canvas of so many units, with the background of a page.
func newCanvas(left, top, width, height int) canvas {
	c := canvas{charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputPNG, Width: pngScale * width, Height: pngScale * height,
	}), float64(left), float64(top)}
	c.rect(c.left, c.top, float64(width), float64(height), paper, paper, 0)
	return c
}

func px(v float64) int { return int(math.Round(pngScale * v)) }

func (c canvas) at(x, y float64) charts.Point {
	return charts.Point{X: px(x - c.left), Y: px(y - c.top)}
}

func (c canvas) line(colour charts.Color, width float64, points ...XY) {
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

// bytes returns what was drawn, as a PNG.
func (c canvas) bytes() ([]byte, error) { return c.p.Bytes() }

// dashed draws a dashed line one unit wide.
func (c canvas) dashed(colour charts.Color, from, to XY) {
	c.p.DashedLineStroke([]charts.Point{c.at(from.X, from.Y), c.at(to.X, to.Y)}, colour, pngScale, []float64{4, 8})
}

// disc draws a circle with an outline.
func (c canvas) disc(x, y, radius float64, fill, stroke charts.Color, strokeWidth float64) {
	at := c.at(x, y)
	c.p.Circle(pngScale*radius, at.X, at.Y, fill, stroke, pngScale*strokeWidth)
}

// diamond draws a diamond of that width with an outline.
func (c canvas) diamond(x, y, width float64, fill, stroke charts.Color, strokeWidth float64) {
	at := c.at(x, y)
	c.p.FilledDiamond(at.X, at.Y, px(width), px(width), fill, stroke, pngScale*strokeWidth)
}

// classColour is the fill of a cell of that class, and whether text on it is to be light.
func classColour(class int) (fill charts.Color, dark bool) {
	if class < 0 {
		return paper, false
	}
	return classColours[class], class >= 5
}
