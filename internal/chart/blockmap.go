package chart

// BlockMap is a model as rows of blocks over its layers, in which some are filled.
type BlockMap struct {
	Grid
	Title, Desc string
	Height      int
	RowSize     float64 // height of a block
	Rows        []MapRow
	Axis        float64 // y of the numbers of layers
}

// MapRow is a row of blocks.
type MapRow struct {
	Name  string
	Y     float64
	Cells []MapCell
}

// MapCell is a block.
type MapCell struct {
	Layer   int
	X       float64
	Removed bool
	Number  string // in the block, if there is room
	Title   string
}

// mapNumber is the least width of a block that has room for a number.
const mapNumber = 18

// NewBlockMap lays out a map without rows. labels are those of the heat map that it stands above.
func NewBlockMap(labels []string, layers int) *BlockMap {
	return &BlockMap{Grid: newGrid(labels, layers), RowSize: 28, Axis: 4 + 14, Height: 4 + 24}
}

// AddRow puts a row below the others.
func (m *BlockMap) AddRow(name string, cells []MapCell) {
	row := MapRow{Name: name, Y: m.Axis - 14}
	for _, c := range cells {
		c.X = m.x(c.Layer)
		if m.Cell < mapNumber {
			c.Number = ""
		}
		row.Cells = append(row.Cells, c)
	}
	m.Rows = append(m.Rows, row)
	bottom := row.Y + m.RowSize + 4
	m.Axis, m.Height = bottom+14, int(bottom)+24
}

func (m *BlockMap) drawing() drawing {
	return drawing{template: "map", Title: m.Title, Desc: m.Desc, Width: m.Width, Height: m.Height, Chart: m, paint: m.paint}
}

// paint draws the map for a PNG, as its template does for an SVG.
func (m *BlockMap) paint(c canvas) {
	for _, r := range m.Rows {
		c.text(r.Name, 0, r.Y+m.RowSize/2+4.5, 13, "start", ink)
		for _, cell := range r.Cells {
			fill, edge := panel, rule
			if cell.Removed {
				fill, edge = mark, paper
			}
			c.rect(cell.X, r.Y, m.Cell, m.RowSize, fill, edge, 1)
			c.text(cell.Number, cell.X+m.Cell/2, r.Y+m.RowSize/2+4.5, 12, "middle", paper)
		}
	}
	for _, t := range m.Columns {
		c.text(t.Text, t.At, m.Axis, 13, "middle", soft)
	}
}
