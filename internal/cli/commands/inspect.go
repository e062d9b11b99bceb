package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
)

const inspectUsage = `Usage: ggufprune inspect -m FILE [--mask MASK] [flags]

Shows a model's blocks with their sizes, whether blocks can be left out of its graph, and with which layout a file without
some of them would be written. Exits with 3 if the model is not supported.

Examples:
  ggufprune inspect -m model.gguf
  ggufprune inspect -m model.gguf --mask attn:3,ffn:7-9

What to show:
      --mask MASK          also the layout without these blocks: attn:3,ffn:7-9
      --layout NAME        auto, native, deci or zeros (default: auto, the best one that is exact)
` + modelUsage + commonUsage

// inspectCommand is "ggufprune inspect".
type inspectCommand struct {
	model        modelFlags
	mask, layout string
}

func (c *inspectCommand) usage() string { return inspectUsage }

func (c *inspectCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	fs.StringVar(&c.mask, "mask", "", "")
	fs.StringVar(&c.layout, "layout", string(layout.Auto), "")
}

func (c *inspectCommand) run(ctx context.Context, _ *pflag.FlagSet, u *ui.UI) error {
	mask, err := blockmask.Parse(c.mask)
	if err != nil {
		return usagef("--mask: %v", err)
	}
	kind, err := layout.ParseKind(c.layout)
	if err != nil {
		return usagef("--layout: %v", err)
	}
	r, err := c.model.runtime()
	if err != nil {
		return err
	}
	in, err := pipeline.Inspect(ctx, r, mask, kind)
	if err != nil {
		return err
	}
	printInspection(u, in)
	if err := u.JSON(newInspectJSON(in)); err != nil {
		return err
	}
	if in.Reason != "" {
		return &pipeline.UnsupportedError{Text: fmt.Sprintf("%s: blocks cannot be left out of its graph: %s; choose another model", r.Path, in.Reason)}
	}
	return nil
}

func printInspection(u *ui.UI, in *pipeline.Inspection) {
	supported := "yes"
	if in.Reason != "" {
		supported = "no: " + in.Reason
	}
	for _, line := range [][2]string{
		{"model", in.Facts.Path},
		{"name", in.Name},
		{"architecture", in.Facts.Arch + " (" + strings.Replace(in.Description, "?B", formatCount(in.Facts.Params), 1) + ")"},
		{"parameters", formatCount(in.Facts.Params)},
		{"size", formatSize(in.Facts.Bytes)},
		{"layers", fmt.Sprint(in.Facts.Layers)},
		{"blocks", fmt.Sprint(in.Facts.Blocks)},
		{"context", fmt.Sprintf("%d tokens", in.Context)},
		{"vocabulary", fmt.Sprintf("%d tokens", in.Vocabulary)},
		{"SHA-256", in.Facts.SHA256},
		{"supported", supported},
	} {
		u.Resultf("%-13s %s", line[0], line[1])
	}
	if len(in.Blocks) == 0 {
		return
	}
	var rows [][]any
	for _, b := range in.Blocks {
		share := 100 * float64(b.Params) / float64(in.Facts.Params)
		rows = append(rows, []any{b.Block, formatCount(b.Params), fmt.Sprintf("%.2f%%", share), formatSize(b.Bytes)})
	}
	u.Resultf("")
	u.Table("", []ui.Column{{Head: "block"}, {Head: "parameters", Number: true}, {Head: "of model", Number: true}, {Head: "size", Number: true}}, rows)
	rows = nil
	for _, l := range in.Layouts {
		row := []any{l.Case, l.Mask, l.Kind, yesNo(l.Exact), formatSize(l.Bytes)}
		if l.Refused != "" {
			row = []any{l.Case, l.Mask, "none: " + l.Refused, "", ""}
		}
		rows = append(rows, row)
	}
	u.Resultf("")
	u.Table("", []ui.Column{{Head: "without"}, {Head: "mask"}, {Head: "layout"}, {Head: "same bits"}, {Head: "file", Number: true}}, rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
