package cli

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
)

// reportFlags say which forms of a report prune writes besides the model.
type reportFlags struct{ files pipeline.ReportFiles }

const reportUsage = `
What to report:
      --report FILE        a page (HTML) with curves, the importance of blocks, provenance and how to run the model
      --markdown FILE      a model card for a hub, usually README.md
      --charts DIR         the charts as SVG and PNG files in that folder
`

func (r *reportFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&r.files.Page, "report", "", "")
	r.addOthers(fs)
}

// addOthers adds the flags of the forms that the command report has, too.
func (r *reportFlags) addOthers(fs *pflag.FlagSet) {
	fs.StringVar(&r.files.Card, "markdown", "", "")
	fs.StringVar(&r.files.Charts, "charts", "", "")
}

// check refuses files that cannot be written, before the search.
func (r *reportFlags) check(j pipeline.Job) error {
	if !r.files.Any() {
		return nil
	}
	if j.Output == "" && (filepath.Ext(r.files.Page) == ".gguf" || filepath.Ext(r.files.Card) == ".gguf") {
		return usagef("a report is no model; give its file a name that does not end in .gguf")
	}
	return r.files.Check(j.Force, jobFiles(j)...)
}

// jobFiles are the files that a job reads and writes.
func jobFiles(j pipeline.Job) []string {
	var out []string
	for _, path := range []string{j.Runtime.Path, j.Text.File, j.Plan, j.Output} {
		if path != "" {
			out = append(out, path)
		}
	}
	return out
}

// write makes the report of what a job did, if one is asked for.
func (r *reportFlags) write(j pipeline.Job, out *pipeline.Outcome, command []string) error {
	if !r.files.Any() {
		return nil
	}
	in, err := out.ReportInput(j.Plan, command)
	if err != nil {
		return err
	}
	if c := out.Comparison; c != nil {
		in.Tables, in.Measured = append(in.Tables, comparisonTable(c)), measured(c)
	}
	files := jobFiles(j)
	if out.Write != nil && j.Output == "" {
		files = append(files, out.Write.Path)
	}
	out.Report, err = r.files.Write(in, j.Force, files...)
	return err
}
