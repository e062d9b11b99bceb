package chart

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/ggufprune/ggufprune/internal/format"
)

// The room that a file has for what a page says around a chart.
const (
	headRoom = 40
	sideRoom = 12
)

// fileStyle gives a file the background that it has in the page.
const fileStyle = "svg.chart { background: var(--paper); }\n"

// Files are a chart as files of their own: an SVG with its own style sheet, whose points and cells say more when they are pointed at,
// and a PNG of two pixels for each unit.
type Files struct{ SVG, PNG []byte }

// Draw makes the files. head is above the chart, cut to its width, and foot below it.
func Draw(c Chart, head, foot string) (Files, error) {
	d := c.drawing()
	d.File, d.Style, d.Head, d.Foot = true, template.CSS(CSS+fileStyle), format.Clip(head, d.Width/9), wrap(foot, d.Width/7)
	d.ViewLeft, d.ViewTop, d.FootY = -sideRoom, -headRoom, d.Height+12
	d.Width += 2 * sideRoom
	d.Height += headRoom + 12 + footLine*len(d.Foot)
	svg, err := d.svg()
	if err != nil {
		return Files{}, err
	}
	png, err := d.png()
	return Files{SVG: append(bytes.TrimSpace(svg), '\n'), PNG: png}, err
}

// png draws the chart and what is around it.
func (d drawing) png() ([]byte, error) {
	c := newCanvas(d.ViewLeft, d.ViewTop, d.Width, d.Height)
	c.text(d.Head, 0, -14, 15, "start", ink)
	for i, line := range d.Foot {
		c.text(line, 0, float64(d.FootY+i*footLine), 12, "start", soft)
	}
	d.paint(c)
	return c.bytes()
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
