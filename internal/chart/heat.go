package chart

// Heat is a heat map: panels of layers (to the right) by rows (downwards). A cell's colour is the class of its value.
type Heat struct {
	Grid
	Title, Desc string
	What        string // what the numbers are
	Height      int
	Panels      []HeatPanel
	Legend      []HeatClass
	Numbers     bool    // there is room for numbers in the cells
	RowSize     float64 // height of a cell
	Estimated   bool    // some cells are
	labels      []string
	bottom      float64 // of the panels so far
}

// HeatPanel is one kind of blocks.
type HeatPanel struct {
	Name string // above it
	Y    float64
	Rows []HeatRow
	Axis float64 // y of the numbers of layers
}

// HeatRow is one row of a panel.
type HeatRow struct {
	Index int // from 1
	Label string
	Y     float64 // of its upper edge
	Cells []HeatCell
}

// HeatCell is one cell.
type HeatCell struct {
	X         float64
	Class     int    // of [Classes], or NotScored or Gone
	Number    string // in the cell, if there is room
	Title     string
	Chosen    bool // it has a frame
	Estimated bool // its number is in italics
}

// HeatClass is an entry of the legend. X and Y are where it is.
type HeatClass struct {
	Class int
	Text  string
	Frame bool
	X, Y  float64
}

// The classes of cells without a value.
const (
	NotScored = -1
	Gone      = -2
)

const (
	heatTop     = 26 // above a panel, for its name
	heatAxis    = 30 // below it
	numberWidth = 24 // least width of a cell that has room for its number
)

// NewHeat lays out a heat map without panels. labels are the names of the rows of each.
func NewHeat(labels []string, layers int) *Heat {
	h := &Heat{Grid: newGrid(labels, layers), labels: labels}
	h.RowSize, h.Numbers = min(26, max(16, h.Cell)), h.Cell >= numberWidth
	return h
}

// AddPanel puts a panel below the others. cell returns what is at a row and a layer, false for nothing.
func (h *Heat) AddPanel(name string, cell func(row, layer int) (HeatCell, bool)) {
	p := HeatPanel{Name: name, Y: h.bottom + heatTop}
	for k, label := range h.labels {
		row := HeatRow{Index: k + 1, Label: label, Y: p.Y + float64(k)*h.RowSize}
		for l := range h.columns {
			c, ok := cell(k, l)
			if !ok {
				continue
			}
			c.X = h.x(l)
			if !h.Numbers {
				c.Number = ""
			}
			h.Estimated = h.Estimated || c.Estimated
			row.Cells = append(row.Cells, c)
		}
		p.Rows = append(p.Rows, row)
	}
	height := float64(len(h.labels)) * h.RowSize
	p.Axis = p.Y + height + 16
	h.bottom = p.Y + height + heatAxis
	h.Panels = append(h.Panels, p)
}

// has reports whether there is a cell of a class.
func (h *Heat) has(class int) bool {
	for _, p := range h.Panels {
		for _, r := range p.Rows {
			for _, c := range r.Cells {
				if c.Class == class {
					return true
				}
			}
		}
	}
	return false
}

// AddLegend puts the legend below the panels, as wide as the map: the classes of values, and of cells that say something else.
func (h *Heat) AddLegend(c Classes, u Unit) {
	h.Legend = append(c.legend(u), HeatClass{Class: 1, Frame: true, Text: "removed in this step"})
	if h.has(Gone) {
		h.Legend = append(h.Legend, HeatClass{Class: Gone, Text: "removed earlier"})
	}
	if h.has(NotScored) {
		h.Legend = append(h.Legend, HeatClass{Class: NotScored, Text: "not scored"})
	}
	x, y := 0.0, h.bottom+6
	for i := range h.Legend {
		width := 42 + 6.9*float64(len([]rune(h.Legend[i].Text)))
		if x > 0 && x+width > float64(h.Width) {
			x, y = 0, y+22
		}
		h.Legend[i].X, h.Legend[i].Y = x, y
		x += width
	}
	h.Height = int(y) + 26
}

func (h *Heat) drawing() drawing {
	return drawing{template: "heat", Title: h.Title, Desc: h.Desc, Width: h.Width, Height: h.Height, Chart: h, paint: h.paint}
}

// paint draws the map for a PNG, as its template does for an SVG.
func (h *Heat) paint(c canvas) {
	for _, p := range h.Panels {
		c.text(p.Name, 0, p.Y-9, 13, "start", ink)
		for _, t := range h.Columns {
			c.text(t.Text, t.At, p.Axis, 13, "middle", soft)
		}
		for _, r := range p.Rows {
			c.text(tickText(float64(r.Index)), 20, r.Y+h.RowSize/2+4.5, 13, "end", soft)
			c.text(r.Label, 30, r.Y+h.RowSize/2+4.5, 13, "start", soft)
			for _, cell := range r.Cells {
				cell.paint(c, r.Y, h.Cell, h.RowSize)
			}
		}
	}
	for _, l := range h.Legend {
		HeatCell{X: l.X, Class: l.Class, Chosen: l.Frame}.paint(c, l.Y, 18, 14)
		c.text(l.Text, l.X+24, l.Y+12, 13, "start", soft)
	}
}

func (cell HeatCell) paint(c canvas, y, width, height float64) {
	fill, dark := classColour(cell.Class)
	edge := paper
	if cell.Class == NotScored {
		edge = rule
	}
	c.rect(cell.X, y, width, height, fill, edge, 1)
	if cell.Class == Gone {
		c.disc(cell.X+width/2, y+height/2, 2, soft, soft, 0)
	}
	if cell.Number != "" {
		colour := ink
		if dark {
			colour = paper
		}
		number := cell.Number
		if cell.Estimated { // in the page it is in italics, which the library's font lacks
			number = "~" + number
		}
		c.text(number, cell.X+width/2, y+height/2+4, 11, "middle", colour)
	}
	if cell.Chosen {
		corners := []XY{{cell.X + 1.5, y + 1.5}, {cell.X + width - 1.5, y + 1.5}, {cell.X + width - 1.5, y + height - 1.5}, {cell.X + 1.5, y + height - 1.5}, {cell.X + 1.5, y + 1.5}}
		c.line(ink, 2.25, corners...)
	}
}
