package page

import (
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// scoreTable has every candidate's score in every step, for those to whom a heat map says nothing.
type scoreTable struct {
	Metric string
	Steps  []string // heads
	Rows   []scoreRow
}

type scoreRow struct {
	Block string
	Cells []scoreCell
}

type scoreCell struct {
	Text   string
	Chosen bool
}

// scoreTable lists the candidates in the order of the model.
func (in Input) scoreTable() scoreTable {
	p := in.Plan
	t := scoreTable{Metric: shortMetric(p)}
	var all []blockmask.Mask
	row := map[string]int{}
	for _, s := range p.Steps {
		for _, c := range s.Candidates {
			if name := c.Mask.String(); row[name] == 0 {
				row[name] = 1
				all = append(all, c.Mask)
			}
		}
	}
	slices.SortFunc(all, blockmask.CompareMasks)
	for i, m := range all {
		row[m.String()] = i
		t.Rows = append(t.Rows, scoreRow{Block: m.String(), Cells: make([]scoreCell, len(p.Steps))})
	}
	for k, s := range p.Steps {
		t.Steps = append(t.Steps, fmt.Sprint(k+1))
		for _, c := range s.Candidates {
			t.Rows[row[c.Mask.String()]].Cells[k] = scoreCell{scoreText(c.Score, c.Sequences > 0), c.Mask.Equal(s.Removed)}
		}
	}
	return t
}
