package ui

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Column is one column of a table: its heading, and whether it holds numbers (aligned to the right).
type Column struct {
	Head   string
	Number bool
}

// Table prints rows under columns to standard output; nothing with JSON. Cells are printed as fmt.Print would.
func (u *UI) Table(title string, columns []Column, rows [][]any) {
	if u.json {
		return
	}
	w := table.NewWriter()
	w.SetStyle(u.tableStyle())
	w.SuppressTrailingSpaces()
	head := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		head[i] = c.Head
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignLeft, AlignHeader: text.AlignLeft}
		if c.Number {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	w.AppendHeader(head)
	w.SetColumnConfigs(configs)
	for _, r := range rows {
		w.AppendRow(table.Row(plainCells(r)))
	}
	if title != "" {
		u.Resultf("%s", strings.ReplaceAll(title, "\n", " "))
	}
	u.println(w.Render()) // not Resultf: the head may be bold
}

// tableStyle is plain text that survives a paste into a terminal, an issue or a Markdown code block.
func (u *UI) tableStyle() table.Style {
	s := table.StyleDefault
	s.Options = table.Options{SeparateHeader: true}
	s.Format = table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault}
	s.Box.PaddingLeft, s.Box.PaddingRight = "", "  "
	if u.outColour {
		s.Color.Header = text.Colors{text.Bold}
	}
	return s
}
