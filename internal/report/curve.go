package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// The size of a curve's drawing and of the margins around its plot. One unit is a pixel where the page is wide.
const (
	curveWidth, curveHeight   = 480, 340
	curveLeft, curveRight     = 58, 18
	curveTop, curveBottom     = 20, 58
	tipWidth, tipLine, tipPad = 178, 17, 9
)

// curve is a chart of scores against something that pruning saves, as geometry: y grows downwards.
type curve struct {
	ID, Title  string // the title says what it shows, for those who do not see it
	Desc       string
	XName      string
	YName      string
	Width      int
	Height     int
	Left, Top  float64 // corners of the plot
	Right      float64
	Bottom     float64
	XTicks     []tick
	YTicks     []tick
	Line       []xy // through the points, in order; empty is none
	Rest       []xy // the part of the line that was not carried out
	Points     []point
	Estimated  bool // there are estimated points
	BaseY      float64
	HasBase    bool // draw a line at the whole model's score
	LogY       bool
	Beyond     bool   // there are points beyond what was carried out
	Legend     string // what the shapes mean
	TipWidth   float64
	TipPadding float64
}

type tick struct {
	At   float64
	Text string
}

type xy struct{ X, Y float64 }

// point is one model on the way.
type point struct {
	X, Y      float64
	Label     string // drawn beside it; "" is none
	LabelX    float64
	LabelY    float64
	Anchor    string  // of the label: start, middle, end
	Shape     string  // dot: measured; ring: estimated; diamond: the whole model; square: a rival
	Beyond    bool    // not carried out
	Low, High float64 // ends of an error bar
	Error     bool
	Text      string   // all of it in one line
	Tip       []string // the same in lines
	TipX      float64  // corner of the tip
	TipY      float64
	TipHeight float64
}

// axis is what a curve's x is.
type axis struct {
	id, name, title string
	value           func(step int) float64 // of the model after so many steps; 0 is unknown
}

// curves returns the plan's curves: against size and speed where those are known, and against the parameters otherwise.
func (in Input) curves() []curve {
	p := in.Plan
	unit, unitName := sizeUnit(p.Model.Size)
	size := axis{"size", "File size, " + unitName, "file size", func(k int) float64 {
		if k == 0 {
			return float64(p.Model.Size) / unit
		}
		return float64(p.Steps[k-1].Size) / unit
	}}
	speed := axis{"speed", "Predicted speed of generation, times the whole model's", "predicted speed", func(k int) float64 {
		if k == 0 {
			return 1
		}
		return p.Steps[k-1].Speedup
	}}
	params := axis{"parameters", "Parameters gone, %", "parameters gone", func(k int) float64 {
		if k == 0 {
			return 0
		}
		return 100 * p.Steps[k-1].Ratio
	}}
	var out []curve
	for _, a := range []axis{size, speed} {
		if in.knows(a) {
			out = append(out, in.curve(a))
		}
	}
	if len(out) == 0 && len(p.Steps) > 0 {
		out = append(out, in.curve(params))
	}
	return out
}

// knows reports whether there are values on that axis for the whole model and all steps.
func (in Input) knows(a axis) bool {
	for k := range len(in.Plan.Steps) + 1 {
		if a.value(k) <= 0 {
			return false
		}
	}
	return len(in.Plan.Steps) > 0
}

// sizeUnit returns the bytes and the name of the unit that a file of n bytes is written in.
func sizeUnit(n int64) (float64, string) {
	switch {
	case n >= 1000<<20:
		return 1 << 30, "GiB"
	case n >= 1<<20:
		return 1 << 20, "MiB"
	default:
		return 1 << 10, "KiB"
	}
}

// curve lays the plan's steps out against a.
func (in Input) curve(a axis) curve {
	p := in.Plan
	xs, ys := []float64{a.value(0)}, []float64{p.Base}
	for k, s := range p.Steps {
		xs, ys = append(xs, a.value(k+1)), append(ys, s.Score)
	}
	c := newCurve(xs, ys, !isKLD(p))
	c.ID, c.XName, c.YName = a.id, a.name, metricName(p)
	if isKLD(p) {
		c.YName += " to the whole model, nats"
	}
	c.Title = fmt.Sprintf("%s against %s", metricName(p), a.title)
	c.HasBase = true
	c.Desc = fmt.Sprintf("%s with the whole model, %s after %s. The table of steps has the numbers.",
		scoreText(p.Base, false), scoreText(ys[len(ys)-1], false), plural(len(p.Steps), "step"))
	done := in.steps()
	for k := range xs {
		pt := point{X: c.x.at(xs[k]), Y: c.y.at(ys[k]), Shape: "dot", Beyond: k > done}
		if k == 0 {
			pt.Shape, pt.Label = "diamond", "whole model"
			pt.Tip = []string{"whole model", shortMetric(p) + " " + scoreText(p.Base, false), format.Size(p.Model.Size)}
		} else {
			s := p.Steps[k-1]
			if s.Sequences() > 0 {
				pt.Shape, c.Estimated = "ring", true
			}
			pt.Label, pt.Tip = fmt.Sprint(k), in.stepLines(k)
		}
		c.Beyond = c.Beyond || pt.Beyond
		c.Points = append(c.Points, pt)
	}
	c.BaseY = c.Points[0].Y
	for k, pt := range c.Points {
		if k <= done {
			c.Line = append(c.Line, xy{pt.X, pt.Y})
		}
		if k >= done && done < len(c.Points)-1 {
			c.Rest = append(c.Rest, xy{pt.X, pt.Y})
		}
	}
	c.Legend = in.curveLegend(c.curve)
	return c.curve.finish()
}

// curveLegend says what the shapes mean.
func (in Input) curveLegend(c curve) string {
	text := "◆ whole model, ● measured"
	if c.Estimated {
		text += ", ○ estimated from a part of the text"
	}
	if c.Beyond {
		text += ", grey: in the plan, not carried out"
	}
	if c.LogY {
		text += ". The scale of scores is logarithmic"
	}
	return text + "."
}

// stepLines tells of the model after step k, in a few lines.
func (in Input) stepLines(k int) []string {
	p, s := in.Plan, in.Plan.Steps[k-1]
	score := fmt.Sprintf("%s %s", shortMetric(p), scoreText(s.Score, s.Sequences() > 0))
	if !isKLD(p) {
		score += fmt.Sprintf(" (×%.3f)", s.Score/p.Base)
	}
	lines := []string{fmt.Sprintf("step %d: %s", k, s.Removed), score, percent(s.Ratio) + " of parameters gone"}
	if s.Size > 0 {
		lines = append(lines, format.Size(s.Size))
	}
	if s.Speedup > 0 {
		lines[len(lines)-1] += fmt.Sprintf(", ×%.2f as fast", s.Speedup)
	}
	return lines
}

// plot is a curve under construction.
type plot struct {
	curve
	x, y scale
}

// newCurve lays out the axes for the values.
func newCurve(xs, ys []float64, canLog bool) plot {
	c := plot{curve: curve{
		Width: curveWidth, Height: curveHeight, Left: curveLeft, Top: curveTop, Right: curveWidth - curveRight,
		Bottom: curveHeight - curveBottom, TipWidth: tipWidth, TipPadding: tipPad,
	}}
	var xt, yt []float64
	c.x, xt = newScale(xs, c.Left, c.Right, false)
	c.y, yt = newScale(ys, c.Bottom, c.Top, canLog)
	c.LogY = c.y.log
	for _, v := range xt {
		c.XTicks = append(c.XTicks, tick{c.x.at(v), tickText(v)})
	}
	for _, v := range yt {
		c.YTicks = append(c.YTicks, tick{c.y.at(v), tickText(v)})
	}
	return c
}

// finish places labels and tips.
func (c curve) finish() curve {
	for i := range c.Points {
		p := &c.Points[i]
		p.Text = strings.Join(p.Tip, "; ")
		width := 0.0
		for i := range p.Tip {
			p.Tip[i] = clip(p.Tip[i], 44)
		}
		for _, line := range p.Tip {
			width = max(width, 7.2*float64(len([]rune(line))))
		}
		c.TipWidth = max(c.TipWidth, min(width+2*tipPad, c.Right-c.Left))
	}
	var taken []box
	for i := range c.Points { // labels keep clear of all points
		taken = append(taken, box{c.Points[i].X - 6, c.Points[i].Y - 6, c.Points[i].X + 6, c.Points[i].Y + 6})
	}
	for i := range c.Points {
		c.Points[i].place(c, &taken)
	}
	return c
}

// box is a rectangle of the drawing.
type box struct{ x0, y0, x1, y1 float64 }

func (b box) meets(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 && b.y0 < o.y1 && o.y0 < b.y1 }

// offset is where a label may stand: from its point, and to which side of that it runs.
type offset struct {
	dx, dy float64
	anchor string
}

// place puts the point's label where there is room, or leaves it out, and its tip inside the drawing.
func (p *point) place(c curve, taken *[]box) {
	p.TipHeight = float64(len(p.Tip))*tipLine + 2*tipPad - 4
	p.TipX = min(max(p.X-c.TipWidth/2, 2), float64(c.Width)-c.TipWidth-2)
	if p.TipY = p.Y - p.TipHeight - 12; p.TipY < 2 {
		p.TipY = p.Y + 12
	}
	if p.Label == "" {
		return
	}
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

// heldOut is the chart of what was measured on other text, of models against their sizes; ok is false with fewer than two.
func (in Input) heldOut() (c curve, ok bool) {
	var xs, ys []float64
	var used []Measured
	unit, name := 1.0, ""
	for _, m := range in.Measured {
		if m.PPL > 0 && !math.IsInf(m.PPL, 0) && m.Bytes > 0 {
			used = append(used, m)
		}
	}
	if len(used) < 2 {
		return c, false
	}
	unit, name = sizeUnit(slices.MaxFunc(used, func(a, b Measured) int { return cmp.Compare(a.Bytes, b.Bytes) }).Bytes)
	for _, m := range used {
		xs, ys = append(xs, float64(m.Bytes)/unit), append(ys, m.PPL)
	}
	span := slices.Clone(ys)
	for _, m := range used {
		span = append(span, m.PPL+m.StdErr, max(m.PPL-m.StdErr, m.PPL/2))
	}
	pl := newCurve(xs, span, false)
	pl.ID, pl.XName, pl.YName = "heldout", "File size, "+name, "Perplexity"
	pl.Title = "Perplexity of the compared models against file size"
	pl.Legend = "◆ original, ● pruned, ■ the original in a smaller quantisation; the bars are one standard error."
	pl.Desc = "On text that the search did not use; the bars are one standard error. The table has the numbers."
	for i, m := range used {
		pt := point{
			X: pl.x.at(xs[i]), Y: pl.y.at(m.PPL), Label: string(m.Role), Shape: map[Role]string{Original: "diamond", Pruned: "dot", Repaired: "dot", Rival: "square"}[m.Role],
			Low: pl.y.at(m.PPL - m.StdErr), High: pl.y.at(m.PPL + m.StdErr), Error: m.StdErr > 0,
			Tip: []string{clean(m.Name), fmt.Sprintf("PPL %.4f ± %.4f", m.PPL, m.StdErr), format.Size(m.Bytes)},
		}
		pl.Points = append(pl.Points, pt)
	}
	return pl.curve.finish(), true
}
