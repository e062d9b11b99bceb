package report

import (
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/search/plan"
)

// fitTables are what a plan that narrows FFNs says of its fits.
func fitTables(p *plan.Plan) (out []page.Table) {
	if len(p.Shapes) > 0 {
		t := page.Table{
			Title: "Shapes that were tried", Caption: "each after a short fit, on text held back from it",
			Columns: []string{"every FFN keeps", "parameters gone", "perplexity"},
		}
		for _, s := range p.Shapes {
			name := s.Name
			if s.Chosen {
				name += " (taken)"
			}
			t.Rows = append(t.Rows, page.Row{Label: name, Cells: []string{s.Keeps, fmt.Sprintf("%.1f%%", 100*s.Ratio), fmt.Sprintf("×%.3f", math.Exp(s.Loss))}})
		}
		out = append(out, t)
	}
	if len(p.Kinds) > 0 {
		t := page.Table{
			Title: "Kinds of text", Caption: "perplexity on what was held back of each from the fit",
			Columns: []string{"before", "after", "ratio"},
		}
		for _, k := range p.Kinds {
			t.Rows = append(t.Rows, page.Row{Label: k.Name, Cells: []string{
				fmt.Sprintf("%.2f", k.Before), fmt.Sprintf("%.2f", k.After), fmt.Sprintf("×%.3f", k.After/k.Before),
			}})
		}
		out = append(out, t)
	}
	return out
}
