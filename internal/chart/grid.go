package chart

import "strconv"

// gridLeast is the least width of a drawing of cells.
const gridLeast = 420

// Grid is where the columns of a heat map and of a block map are, one for each layer, so that the two are in line.
type Grid struct {
	Width   int
	Left    float64 // x of the first cell
	Cell    float64 // width of a cell
	Columns []Tick  // some of the columns' numbers, at the middle of their cells
	columns int
}

// newGrid lays out columns beside the labels of rows.
func newGrid(labels []string, columns int) Grid {
	longest := 0
	for _, label := range labels {
		longest = max(longest, len([]rune(label)))
	}
	// A cell is as wide as a wide page allows, within what looks well.
	g := Grid{Left: 48 + 7.2*float64(max(longest, 6)), Cell: float64(min(48, max(11, 900/max(columns, 1)))), columns: columns}
	g.Width = max(int(g.Left+float64(columns)*g.Cell)+8, gridLeast)
	for i := 0; i < columns; i += max(1, (columns+31)/32) {
		g.Columns = append(g.Columns, Tick{g.Left + (float64(i)+0.5)*g.Cell, strconv.Itoa(i)})
	}
	return g
}

// x returns the left edge of a column.
func (g *Grid) x(column int) float64 { return g.Left + float64(column)*g.Cell }
