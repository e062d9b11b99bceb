package page

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/internal/chart"
)

// Chart is one of the page's charts as files of their own.
type Chart struct {
	Name string // of the files, without the ending: "curve-size"
	chart.Files
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
	add := func(name, foot string, c chart.Chart) error {
		files, err := chart.Draw(c, p.Title, foot)
		if err != nil {
			return fmt.Errorf("chart %s: %w", name, err)
		}
		out = append(out, Chart{name, files})
		return nil
	}
	for _, c := range p.Curves {
		if err := add("curve-"+c.ID, c.YName+". "+plainLegend(c.Legend), c); err != nil {
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
		foot := "Filled: removed; the number is the step"
		if p.Narrow {
			foot += ". Filled in part: that part of the FFN's channels is gone; the number is what it keeps"
		}
		if err := add("blocks", foot, p.Map); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plainLegend names shapes by words, for fonts that do not have them.
func plainLegend(s string) string {
	return strings.NewReplacer("◆", "Diamond:", "●", "dot:", "○", "ring:", "■", "square:").Replace(s)
}
