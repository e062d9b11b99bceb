package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

const reportCommandUsage = `Usage: ggufprune report PLAN [-m FILE] [--pruned FILE] [flags]

Makes a page (HTML) of a plan: curves of quality against size and speed, the importance of each block, what is removed in which
order, how to run the model, and all that identifies what was measured. It is one file without scripts; nothing is loaded from
anywhere. No model is run.

Examples:
  ggufprune report plan.json
  ggufprune report plan.json -m model.gguf --pruned small.gguf -o report.html --markdown README.md --charts charts

What to report on:
  -m, --model FILE         the whole model, for its name, licence and author; it must be the one that the plan is for
      --pruned FILE        the file that prune or apply wrote from the plan, which then is what the report is about

What to write:
  -o, --output FILE        the page (default: the plan's name with .html)
      --markdown FILE      a model card for a hub, usually README.md
      --charts DIR         the charts as SVG and PNG files in that folder
      --force              overwrite existing files
` + commonUsage

// reportCommand is "ggufprune report".
type reportCommand struct {
	report        reportFlags
	model, pruned string
	force         bool
}

func (c *reportCommand) usage() string { return reportCommandUsage }

// arguments says that a plan is named without a flag.
func (c *reportCommand) arguments() {}

func (c *reportCommand) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&c.model, "model", "m", "", "")
	fs.StringVar(&c.pruned, "pruned", "", "")
	fs.StringVarP(&c.report.files.Page, "output", "o", "", "")
	c.report.addOthers(fs)
	fs.BoolVar(&c.force, "force", false, "")
}

func (c *reportCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	if fs.NArg() != 1 {
		return usagef("name one plan: ggufprune report plan.json")
	}
	plan, files := fs.Arg(0), c.report.files
	if files.Page == "" {
		files.Page = strings.TrimSuffix(plan, filepath.Ext(plan)) + ".html"
	}
	out, err := pipeline.Report(ctx, pipeline.ReportJob{
		Plan: plan, Source: c.model, Pruned: c.pruned, Files: files, Force: c.force, Command: commandLine(ctx),
	})
	if err != nil {
		return err
	}
	j := reportJSON{
		Command: "report", Tool: Version(), Plan: plan, Steps: out.Steps, Report: newReportFilesJSON(out.Written),
	}
	printReport(u, out.Written)
	return u.JSON(j)
}

// printReport names the files of a report; nil is none.
func printReport(u *ui.UI, r *pipeline.WrittenReport) {
	if r == nil {
		return
	}
	if r.Page != "" {
		u.Resultf("report  %s", r.Page)
	}
	if r.Card != "" {
		u.Resultf("card    %s", r.Card)
	}
	for i, chart := range r.Charts {
		if i == 0 {
			u.Resultf("charts  %s", chart)
		} else {
			u.Resultf("        %s", chart)
		}
	}
}
