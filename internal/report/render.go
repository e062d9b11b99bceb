package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

//go:embed assets
var assets embed.FS

var (
	//go:embed assets/style.css
	pageStyle string
	//go:embed assets/chart.css
	chartStyle string
)

// templates are those of the page and of the charts.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"n":        coordinate,
	"add":      func(a, b float64) string { return coordinate(a + b) },
	"mid":      func(a, b float64) string { return coordinate((a + b) / 2) },
	"half":     func(start, size float64) string { return coordinate(start + size/2) },
	"rowtext":  func(top, size float64) string { return coordinate(top + size/2 + 4.5) },
	"tipline":  func(top float64, i int) string { return coordinate(top + tipPad + 11 + float64(i)*tipLine) },
	"points":   polyline,
	"figureOf": pageFigure,
	"footline": func(y, i int) int { return y + i*footLine },
}).ParseFS(assets, "assets/*.html"))

// coordinate writes a coordinate as short as it may be.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// polyline writes the points of a line.
func polyline(points []xy) string {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(coordinate(p.X) + "," + coordinate(p.Y))
	}
	return b.String()
}

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
	Curve                    *curve
	Heat                     *heat
	Map                      *blockMap
}

// The room that a file has for what the page says around a chart.
const (
	headRoom = 40
	footLine = 18
	sideRoom = 12
)

// pageFigure is a chart in the page.
func pageFigure(chart any) (drawing, error) {
	switch c := chart.(type) {
	case *curve:
		return drawing{template: "curve", ID: c.ID, Title: c.Title, Desc: c.Desc, Width: c.Width, Height: c.Height, Curve: c}, nil
	case curve:
		return pageFigure(&c)
	case *heat:
		return drawing{template: "heat", Title: c.Title, Desc: c.Desc, Width: c.Width, Height: c.Height, Heat: c}, nil
	case *blockMap:
		return drawing{template: "map", Title: c.Title, Desc: c.Desc, Width: c.Width, Height: c.Height, Map: c}, nil
	}
	return drawing{}, fmt.Errorf("no drawing of a %T", chart)
}

// file is the chart as a file of its own, with a head and a foot.
func (d drawing) file(head, foot string) drawing {
	d.File, d.Style, d.Head, d.Foot = true, template.CSS(chartStyle+fileStyle), head, wrap(foot, d.Width/7)
	d.ViewLeft, d.ViewTop, d.FootY = -sideRoom, -headRoom, d.Height+12
	d.Width += 2 * sideRoom
	d.Height += headRoom + 12 + footLine*len(d.Foot)
	return d
}

// wrap breaks s into lines of about so many characters.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+len([]rune(word)) >= width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// fileStyle gives a file the background that it has in the page.
const fileStyle = "svg.chart { background: var(--paper); }\n"

// svg draws the chart as a file.
func (d drawing) svg() ([]byte, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, d.template, d); err != nil {
		return nil, err
	}
	return append(bytes.TrimSpace(b.Bytes()), '\n'), nil
}

// HTML returns the page.
func HTML(in Input) ([]byte, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, "page.html", struct {
		page
		Style template.CSS
	}{newPage(in), template.CSS(chartStyle + pageStyle)})
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}
