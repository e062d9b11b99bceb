package chart

import (
	"bytes"
	"embed"
	"html/template"
	"strconv"
	"strings"
)

//go:embed assets/charts.html
var assets embed.FS

// CSS is the style sheet of the charts, for a page that shows them.
//
//go:embed assets/chart.css
var CSS string

// templates are those of the charts.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"n":        coordinate,
	"add":      func(a, b float64) string { return coordinate(a + b) },
	"mid":      func(a, b float64) string { return coordinate((a + b) / 2) },
	"half":     func(start, size float64) string { return coordinate(start + size/2) },
	"rowtext":  func(top, size float64) string { return coordinate(top + size/2 + 4.5) },
	"tipline":  func(top float64, i int) string { return coordinate(top + tipPad + 11 + float64(i)*tipLine) },
	"points":   polyline,
	"footline": func(y, i int) int { return y + i*footLine },
}).ParseFS(assets, "assets/*.html"))

// Sizes that the templates and the geometry share: the height of a tip's lines and the room around them, the height of the lines below a
// file's chart.
const (
	tipLine  = 17
	tipPad   = 9
	footLine = 18
)

// coordinate writes a coordinate as short as it may be.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// polyline writes the points of a line.
func polyline(points []XY) string {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(coordinate(p.X) + "," + coordinate(p.Y))
	}
	return b.String()
}

// Chart is a *Curve, *Heat or *BlockMap.
type Chart interface{ drawing() drawing }

// drawing is a chart as its template takes it.
type drawing struct {
	template                 string
	ID, Title, Desc          string
	Width, Height            int
	ViewLeft, ViewTop, FootY int
	File                     bool         // it is a file of its own
	Style                    template.CSS // of a file
	Head                     string       // of a file: what the page says around the chart
	Foot                     []string     // the same below it, in lines
	Chart                    Chart
	paint                    func(canvas) // the same for a PNG
}

// HTML draws a chart inside a page that has the style sheet.
func HTML(c Chart) (template.HTML, error) {
	svg, err := c.drawing().svg()
	return template.HTML(svg), err
}

func (d drawing) svg() ([]byte, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, d.template, d)
	return b.Bytes(), err
}
