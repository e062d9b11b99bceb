package report

import (
	"fmt"
	"strings"
)

// Chart is a chart as files of their own: an SVG with its own style sheet, whose points and cells say more when they are pointed at, and
// a PNG.
type Chart struct {
	Name     string // of the files, without the ending: "curve-size"
	Title    string // what it shows, as the text in its place
	SVG, PNG []byte
}

// chartNames are the names of all charts that there may be.
var chartNames = []string{"curve-size", "curve-speed", "curve-parameters", "heldout", "importance", "blocks"}

// ChartFiles are the names of all files that [Charts] may return.
func ChartFiles() []string {
	var out []string
	for _, name := range chartNames {
		out = append(out, name+".svg", name+".png")
	}
	return out
}

// Charts draws the page's charts as files.
func Charts(in Input) ([]Chart, error) {
	p := newPage(in)
	var out []Chart
	add := func(name, foot string, chart any) error {
		d, err := pageFigure(chart)
		if err != nil {
			return err
		}
		d = d.file(clip(p.Title, d.Width/9), foot)
		c := Chart{Name: name, Title: d.Title + ". " + d.Desc}
		if c.SVG, err = d.svg(); err != nil {
			return fmt.Errorf("chart %s: %w", name, err)
		}
		if c.PNG, err = d.png(); err != nil {
			return fmt.Errorf("chart %s: %w", name, err)
		}
		out = append(out, c)
		return nil
	}
	for i, c := range p.Curves {
		if err := add("curve-"+c.ID, c.YName+". "+plainLegend(c.Legend), &p.Curves[i]); err != nil {
			return nil, err
		}
	}
	if p.HeldOut != nil {
		if err := add("heldout", p.HeldOut.YName+", lower is better", p.HeldOut); err != nil {
			return nil, err
		}
	}
	if p.Heat != nil {
		foot := "Numbers: " + p.Heat.What + "."
		if p.Heat.Estimated {
			foot += " With ~ or in italics: estimates from a part of the text, to be compared within their row."
		}
		if err := add("importance", foot, p.Heat); err != nil {
			return nil, err
		}
	}
	if p.Map != nil {
		if err := add("blocks", "Filled: removed; the number is the step", p.Map); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plainLegend names shapes by words, for fonts that do not have them.
func plainLegend(s string) string {
	return strings.NewReplacer("◆", "Diamond:", "●", "dot:", "○", "ring:", "■", "square:").Replace(s)
}
