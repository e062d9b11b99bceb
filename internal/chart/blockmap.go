package chart

// BlockMap is a model as rows of blocks over its layers, in which some are filled, or partly.
type BlockMap struct {
	Grid
	Title, Desc string
	Height      int
	Rows        []MapRow
	Axis        float64 // y of the numbers of layers
}

// MapRow is a row of blocks.
type MapRow struct {
	Name  string
	Y     float64
	Size  float64 // height of a block
	Cells []MapCell
}

// MapCell is a block.
type MapCell struct {
	Layer   int
	X       float64
	Removed bool
	Part    float64  // of a block of which a part stays: the part that is gone, above 0 and below 1
	Fill    float64  // height of what is filled of such a block
	Number  string   // in the block, if there is room; NumberY is its baseline
	Numbers []string // forms of the same of a block of which a part stays, the longest first; the whole row has the first that has room
	Title   string

	NumberY float64
	Kept    bool // the number is in what stays of the block
}

// mapNumber is the least width of a block that has room for a number.
const mapNumber = 18

// Heights of the blocks in a row, and where parts of them stay: there height is what tells.
const (
	mapRow   = 28
	mapParts = 76
)

// NewBlockMap lays out a map without rows. labels are those of the heat map that it stands above.
func NewBlockMap(labels []string, layers int) *BlockMap {
	return &BlockMap{Grid: newGrid(labels, layers), Axis: 4 + 14, Height: 4 + 24}
}

// AddRow puts a row below the others.
func (m *BlockMap) AddRow(name string, cells []MapCell) {
	row := MapRow{Name: name, Y: m.Axis - 14, Size: mapRow}
	for _, c := range cells {
		if c.Part > 0 {
			row.Size = mapParts
		}
	}
	form := m.form(cells)
	for _, c := range cells {
		c.X = m.x(c.Layer)
		if m.Cell < mapNumber {
			c.Number = ""
		}
		if form < len(c.Numbers) {
			c.Number = c.Numbers[form]
		}
		c.place(row)
		row.Cells = append(row.Cells, c)
	}
	m.Rows = append(m.Rows, row)
	bottom := row.Y + row.Size + 4
	m.Axis, m.Height = bottom+14, int(bottom)+24
}

// form is the first form of the cells' numbers for which all of them have room.
func (m *BlockMap) form(cells []MapCell) int {
	form := 0
	for _, c := range cells {
		for form < len(c.Numbers) && 6.8*float64(len([]rune(c.Numbers[form])))+2 > m.Cell {
			form++
		}
	}
	return form
}

// place finds where what is filled of the block ends, and where its number is: in what stays if there is room for it.
func (c *MapCell) place(row MapRow) {
	c.NumberY = row.Y + row.Size/2 + 4.5
	if c.Part <= 0 {
		return
	}
	c.Fill = min(max(c.Part*row.Size, 2), row.Size-2) // both parts are seen, however small
	c.NumberY = row.Y + row.Size - 6
	if c.Kept = row.Size-c.Fill >= 17; !c.Kept {
		c.NumberY = row.Y + c.Fill - 6
	}
}

func (m *BlockMap) drawing() drawing {
	return drawing{template: "map", Title: m.Title, Desc: m.Desc, Width: m.Width, Height: m.Height, Chart: m, paint: m.paint}
}

// paint draws the map for a PNG, as its template does for an SVG.
func (m *BlockMap) paint(c canvas) {
	for _, r := range m.Rows {
		c.text(r.Name, 0, r.Y+r.Size/2+4.5, 13, "start", ink)
		for _, cell := range r.Cells {
			fill, edge := panel, rule
			if cell.Removed {
				fill, edge = mark, paper
			}
			c.rect(cell.X, r.Y, m.Cell, r.Size, fill, edge, 1)
			if cell.Fill > 0 {
				c.rect(cell.X, r.Y, m.Cell, cell.Fill, mark, paper, 1)
			}
			size, colour := 12.0, paper
			if cell.Fill > 0 {
				size = 11
			}
			if cell.Kept {
				colour = ink
			}
			c.text(cell.Number, cell.X+m.Cell/2, cell.NumberY, size, "middle", colour)
		}
	}
	for _, t := range m.Columns {
		c.text(t.Text, t.At, m.Axis, 13, "middle", soft)
	}
}
