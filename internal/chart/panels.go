package chart

import (
	"bytes"
	"errors"
	"html/template"

	"github.com/ggufprune/ggufprune/internal/format"

	_ "embed"
)

// seriesCSS has the colours of series.
//
//go:embed assets/series.css
var seriesCSS string

// MostSeries is how many series have a colour of their own.
const MostSeries = 4

// Panels are curves side by side, with one legend: the same things by several measures. They are an SVG only.
type Panels struct {
	ID, Title, Desc string   // as of a [Curve]
	Columns         int      // curves in a row
	Curves          []*Curve // row by row; YName stands above each
	Keys            []Key    // the legend
}

// Key is an entry of the legend.
type Key struct {
	Series int // whose colour it has, from 1 to [MostSeries]; 0 is none's
	Shape  Shape
	Text   string
	Joined bool // its points are joined by a line

	X, Y float64 // where its shape is drawn
	Line []XY
}

// placed is a curve in its place.
type placed struct {
	*Curve
	Left, Top, Below, Height float64 // corner, where the plot begins below it, and the height of both
}

// The room around panels.
const (
	panelGap  = 14
	panelName = 18 // for the name above a plot
	keyRow    = 24
)

// SVG draws the panels as a file of its own. head is above them, cut to their width, and foot below.
func (p Panels) SVG(head, foot string) ([]byte, error) {
	if len(p.Curves) == 0 {
		return nil, errors.New("panels without a curve cannot be drawn")
	}
	columns := min(max(1, p.Columns), len(p.Curves))
	width := columns*curveWidth + (columns-1)*panelGap + 2*sideRoom
	top := p.placeKeys(width)
	var panels []placed
	for i, c := range p.Curves {
		panels = append(panels, placed{
			c, float64(sideRoom + i%columns*(curveWidth+panelGap)), top + float64(i/columns*(curveHeight+panelName)), panelName, curveHeight + panelName,
		})
	}
	last := panels[len(panels)-1]
	lines := wrap(foot, (width-2*sideRoom)/7)
	footY := int(last.Top+last.Height) + footLine
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, "panels", struct {
		Panels
		Placed        []placed
		Width, Height int
		Style         template.CSS
		Head          string
		Foot          []string
		FootY         int
	}{p, panels, width, footY + footLine*len(lines), template.CSS(CSS + fileStyle + seriesCSS), format.Clip(head, width/9), lines, footY})
	return append(bytes.TrimSpace(b.Bytes()), '\n'), err
}

// placeKeys sets the legend below the head, in as many rows as it needs, and returns where the panels begin.
func (p Panels) placeKeys(width int) float64 {
	x, y := float64(sideRoom)+14, float64(headRoom)+10
	for i := range p.Keys {
		k := &p.Keys[i]
		wide := 20 + 7.2*float64(len([]rune(k.Text))) + 34
		if x+wide > float64(width) && i > 0 {
			x, y = float64(sideRoom)+14, y+keyRow
		}
		k.X, k.Y = x, y
		if k.Joined {
			k.Line = []XY{{x - 14, y}, {x + 14, y}}
		}
		x += wide
	}
	return y + keyRow
}
