package chart

// The size of a curve's drawing and of the margins around its plot.
const (
	curveWidth, curveHeight = 480, 340
	curveLeft, curveRight   = 58, 18
	curveTop, curveBottom   = 20, 58
)

// Curve is a chart of points, joined by a line where they have an order.
type Curve struct {
	ID, Title  string // the title says what it shows, for those who do not see it
	Desc       string
	XName      string
	YName      string
	Width      int
	Height     int
	Left, Top  float64 // corners of the plot
	Right      float64
	Bottom     float64
	XTicks     []Tick
	YTicks     []Tick
	Line       []XY // through the points, in order; empty is none
	Rest       []XY // the paler part of the line
	Lines      []SeriesLine
	Points     []Point
	BaseY      float64
	HasBase    bool // draw a line at BaseY
	LogY       bool
	Legend     string // what the shapes mean
	TipWidth   float64
	TipPadding float64
}

// SeriesLine joins the points of a series.
type SeriesLine struct {
	Series int
	Points []XY
}

// Tick is a place on an axis and what stands there.
type Tick struct {
	At   float64
	Text string
}

// XY is a point of the drawing.
type XY struct{ X, Y float64 }

// Point is one thing on a curve.
type Point struct {
	X, Y      float64
	Label     string // drawn beside it; "" is none
	LabelX    float64
	LabelY    float64
	Anchor    string // of the label: start, middle, end
	Shape     Shape
	Series    int     // which of the colours of [Panels] it has, from 1; 0 is the usual one
	Beyond    bool    // paler than the others
	Low, High float64 // ends of an error bar
	Error     bool    // there is one
	Text      string  // the tip in one line
	Tip       []string
	TipX      float64 // corner of the tip
	TipY      float64
	TipHeight float64
}

// Shape is how a point is drawn.
type Shape string

// The shapes. Dot is also what an unknown one becomes.
const (
	Dot     Shape = "dot"
	Ring    Shape = "ring"
	Diamond Shape = "diamond"
	Square  Shape = "square"
)

// Plot is a curve under construction.
type Plot struct {
	Curve
	x, y scale
}

// NewPlot lays out axes that have room for the values. canLog allows a logarithmic y where the values lie far apart.
func NewPlot(xs, ys []float64, canLog bool) *Plot {
	p := &Plot{Curve: Curve{
		Width: curveWidth, Height: curveHeight, Left: curveLeft, Top: curveTop, Right: curveWidth - curveRight,
		Bottom: curveHeight - curveBottom, TipWidth: tipWidth, TipPadding: tipPad,
	}}
	var xt, yt []float64
	p.x, xt = newScale(xs, p.Left, p.Right, false)
	p.y, yt = newScale(ys, p.Bottom, p.Top, canLog)
	p.LogY = p.y.log
	for _, v := range xt {
		p.XTicks = append(p.XTicks, Tick{p.x.at(v), tickText(v)})
	}
	for _, v := range yt {
		p.YTicks = append(p.YTicks, Tick{p.y.at(v), tickText(v)})
	}
	return p
}

// X returns where a value of x is drawn.
func (p *Plot) X(v float64) float64 { return p.x.at(v) }

// Y returns where a value of y is drawn.
func (p *Plot) Y(v float64) float64 { return p.y.at(v) }

// Finish places labels and tips, and returns the curve.
func (p *Plot) Finish() *Curve {
	c := p.Curve
	c.placeTips()
	c.placeLabels()
	return &c
}

func (c *Curve) drawing() drawing {
	return drawing{template: "curve", ID: c.ID, Title: c.Title, Desc: c.Desc, Width: c.Width, Height: c.Height, Chart: c, paint: c.paint}
}

// paint draws the curve for a PNG, as its template does for an SVG.
func (v *Curve) paint(c canvas) {
	for _, t := range v.YTicks {
		c.line(rule, 1, XY{v.Left, t.At}, XY{v.Right, t.At})
		c.text(t.Text, v.Left-8, t.At+4, 13, "end", soft)
	}
	for _, t := range v.XTicks {
		c.line(soft, 1, XY{t.At, v.Bottom}, XY{t.At, v.Bottom + 5})
		c.text(t.Text, t.At, v.Bottom+20, 13, "middle", soft)
	}
	c.line(soft, 1, XY{v.Left, v.Bottom}, XY{v.Right, v.Bottom})
	c.text(v.XName, (v.Left+v.Right)/2, v.Bottom+44, 13, "middle", soft)
	if v.HasBase {
		c.dashed(soft, XY{v.Left, v.BaseY}, XY{v.Right, v.BaseY})
	}
	if len(v.Rest) > 1 {
		c.line(soft, 1.5, v.Rest...)
	}
	if len(v.Line) > 1 {
		c.line(accent, 2.25, v.Line...)
	}
	for _, p := range v.Points {
		p.paint(c)
	}
}

func (p Point) paint(c canvas) {
	if p.Error {
		for _, s := range [][2]XY{{{p.X, p.Low}, {p.X, p.High}}, {{p.X - 5, p.Low}, {p.X + 5, p.Low}}, {{p.X - 5, p.High}, {p.X + 5, p.High}}} {
			c.line(accent, 1.5, s[0], s[1])
		}
	}
	colour := accent
	if p.Beyond {
		colour = soft
	}
	switch p.Shape {
	case Diamond:
		c.diamond(p.X, p.Y, 15, accent, paper, 1.5)
	case Square:
		c.rect(p.X-5.5, p.Y-5.5, 11, 11, mark, paper, 1.5)
	case Ring:
		c.disc(p.X, p.Y, 4.5, paper, colour, 2)
	default:
		c.disc(p.X, p.Y, 5.5, colour, paper, 1.5)
	}
	if p.Label != "" {
		c.text(p.Label, p.LabelX, p.LabelY, 12, p.Anchor, ink)
	}
}
