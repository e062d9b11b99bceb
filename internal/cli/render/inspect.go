package render

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/inspect"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// Inspection prints a model's blocks and how files without some of them would be written, and the JSON object.
func Inspection(u *ui.UI, in *inspect.Inspection) error {
	printInspection(u, in)
	return u.JSON(newInspectJSON(in))
}

func printInspection(u *ui.UI, in *inspect.Inspection) {
	supported := "yes"
	if in.Reason != "" {
		supported = "no: " + in.Reason
	}
	for _, line := range [][2]string{
		{"model", in.Facts.Path},
		{"name", in.Name},
		{"architecture", in.Facts.Arch + " (" + strings.Replace(in.Description, "?B", format.Count(in.Facts.Params), 1) + ")"},
		{"parameters", format.Count(in.Facts.Params)},
		{"size", format.Size(in.Facts.Bytes)},
		{"layers", fmt.Sprint(in.Facts.Layers)},
		{"blocks", fmt.Sprint(in.Facts.Blocks)},
		{"context", fmt.Sprintf("%d tokens", in.Context)},
		{"vocabulary", fmt.Sprintf("%d tokens", in.Vocabulary)},
		{"SHA-256", in.Facts.SHA256},
		{"supported", supported},
	} {
		u.Resultf("%-13s %s", line[0], strings.ReplaceAll(line[1], "\n", " "))
	}
	if len(in.Removed) > 0 {
		u.Resultf("%-13s %s", "removed", maskText(in.Removed, maxMaskText))
	}
	if len(in.Blocks) == 0 {
		return
	}
	var rows [][]any
	columns, widths := []ui.Column{{Head: "block"}, {Head: "parameters", Number: true}, {Head: "of model", Number: true}, {Head: "size", Number: true}}, widthsDiffer(in)
	if widths {
		columns = append(columns, ui.Column{Head: "channels", Number: true})
	}
	for _, b := range in.Blocks {
		share := 100 * float64(b.Params) / float64(in.Facts.Params)
		row := []any{b.Block, format.Count(b.Params), fmt.Sprintf("%.2f%%", share), format.Size(b.Bytes)}
		if widths {
			row = append(row, channelsText(b))
		}
		rows = append(rows, row)
	}
	u.Resultf("")
	u.Table("", columns, rows)
	rows = nil
	for _, l := range in.Layouts {
		row := []any{l.Case, maskText(l.Mask, maxStepText), l.Kind, yesNo(l.Exact), format.Size(l.Bytes)}
		if l.Refused != "" {
			row = []any{l.Case, maskText(l.Mask, maxStepText), "none: " + l.Refused, "", ""}
		}
		rows = append(rows, row)
	}
	u.Resultf("")
	u.Table("", []ui.Column{{Head: "without"}, {Head: "mask"}, {Head: "layout"}, {Head: "same bits"}, {Head: "file", Number: true}}, rows)
}

// widthsDiffer reports whether the widths of the FFNs are worth a column: they differ from each other, or from what they were.
func widthsDiffer(in *inspect.Inspection) bool {
	first := 0
	for _, b := range in.Blocks {
		if b.Channels == 0 {
			continue
		}
		if first == 0 {
			first = b.Channels
		}
		if b.Channels != first || b.Before > 0 && b.Channels != b.Before {
			return true
		}
	}
	return false
}

// channelsText is how wide an FFN is, and was.
func channelsText(b inspect.InspectedBlock) string {
	switch {
	case b.Channels == 0:
		return ""
	case b.Before > 0 && b.Before != b.Channels:
		return fmt.Sprintf("%d of %d", b.Channels, b.Before)
	}
	return fmt.Sprint(b.Channels)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// inspectJSON is printed by inspect.
type inspectJSON struct {
	Command     string                `json:"command"`
	Model       string                `json:"model"`
	ModelInfo   modelJSON             `json:"model_info"`
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Context     int                   `json:"n_ctx_train"`
	Vocabulary  int                   `json:"n_vocab"`
	Removed     *blockmask.Mask       `json:"removed,omitempty"`
	Supported   bool                  `json:"supported"`
	Reason      string                `json:"reason,omitempty"`
	Blocks      []inspectedBlockJSON  `json:"blocks"`
	Layouts     []inspectedLayoutJSON `json:"layouts"`
}

// inspectedBlockJSON is one block.
type inspectedBlockJSON struct {
	Block  string `json:"block"`
	Params uint64 `json:"params"`
	Bytes  int64  `json:"bytes"`

	Channels int    `json:"channels,omitempty"`
	Before   int    `json:"source_channels,omitempty"`
	Kept     string `json:"kept_channels,omitempty"`
}

// inspectedLayoutJSON is how a file without some blocks would be written.
type inspectedLayoutJSON struct {
	Case    string         `json:"case"`
	Mask    blockmask.Mask `json:"mask"`
	Layout  string         `json:"layout,omitempty"`
	Exact   bool           `json:"exact"`
	Bytes   int64          `json:"bytes"`
	Refused string         `json:"refused,omitempty"`
}

func newInspectJSON(in *inspect.Inspection) inspectJSON {
	j := inspectJSON{
		Command: "inspect", Model: in.Facts.Path, ModelInfo: newModelJSON(in.Facts), Name: in.Name, Description: in.Description,
		Context: in.Context, Vocabulary: in.Vocabulary, Supported: in.Reason == "", Reason: in.Reason,
		Blocks: []inspectedBlockJSON{}, Layouts: []inspectedLayoutJSON{},
	}
	if len(in.Removed) > 0 {
		j.Removed = &in.Removed
	}
	for _, b := range in.Blocks {
		j.Blocks = append(j.Blocks, inspectedBlockJSON{b.Block.String(), b.Params, b.Bytes, b.Channels, b.Before, b.Kept.String()})
	}
	for _, l := range in.Layouts {
		j.Layouts = append(j.Layouts, inspectedLayoutJSON{l.Case, l.Mask, string(l.Kind), l.Exact, l.Bytes, l.Refused})
	}
	return j
}
