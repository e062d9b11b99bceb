package chart

import (
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// tipWidth is the least width of a tip.
const tipWidth = 178

// placeTips makes the tips as wide as the longest needs, and sets them inside the drawing.
func (c *Curve) placeTips() {
	for i := range c.Points {
		p := &c.Points[i]
		p.Text = strings.Join(p.Tip, "; ")
		width := 0.0
		for i := range p.Tip {
			p.Tip[i] = format.Clip(p.Tip[i], 44)
		}
		for _, line := range p.Tip {
			width = max(width, 7.2*float64(len([]rune(line))))
		}
		c.TipWidth = max(c.TipWidth, min(width+2*tipPad, c.Right-c.Left))
	}
	for i := range c.Points {
		p := &c.Points[i]
		p.TipHeight = float64(len(p.Tip))*tipLine + 2*tipPad - 4
		p.TipX = min(max(p.X-c.TipWidth/2, 2), float64(c.Width)-c.TipWidth-2)
		if p.TipY = p.Y - p.TipHeight - 12; p.TipY < 2 {
			p.TipY = p.Y + 12
		}
	}
}

// placeLabels puts labels where they keep clear of all points and of each other.
func (c *Curve) placeLabels() {
	var taken []box
	for _, p := range c.Points {
		taken = append(taken, box{p.X - 6, p.Y - 6, p.X + 6, p.Y + 6})
	}
	for i := range c.Points {
		if c.Points[i].Label != "" {
			c.Points[i].placeLabel(c, &taken)
		}
	}
}

// box is a rectangle of the drawing.
type box struct{ x0, y0, x1, y1 float64 }

func (b box) meets(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 && b.y0 < o.y1 && o.y0 < b.y1 }

// offset is where a label may stand: from its point, and to which side of that it runs.
type offset struct {
	dx, dy float64
	anchor string
}

// placeLabel puts the point's label where there is room, or leaves it out.
func (p *Point) placeLabel(c *Curve, taken *[]box) {
	width := 8 * float64(len([]rune(p.Label)))
	places := []offset{{0, -11, "middle"}, {0, 21, "middle"}, {7, -9, "start"}, {-7, -9, "end"}, {-7, 19, "end"}, {7, 19, "start"}}
	if p.Error { // there is a bar above and below
		places = []offset{{11, 4, "start"}, {-11, 4, "end"}, {11, -12, "start"}, {11, 20, "start"}}
	}
	for _, at := range places {
		left := p.X + at.dx - width*map[string]float64{"start": 0, "middle": 0.5, "end": 1}[at.anchor]
		b := box{left, p.Y + at.dy - 11, left + width, p.Y + at.dy + 2}
		free := b.x0 >= c.Left && b.x1 <= float64(c.Width)-2 && b.y0 >= 2 && b.y1 <= c.Bottom
		if free && !slices.ContainsFunc(*taken, b.meets) {
			p.LabelX, p.LabelY, p.Anchor = p.X+at.dx, p.Y+at.dy, at.anchor
			*taken = append(*taken, b)
			return
		}
	}
	p.Label = ""
}
