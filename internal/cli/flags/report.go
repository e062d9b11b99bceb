package flags

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/report"
)

// Report says which forms of a report are written.
type Report struct {
	Only bool // the report is all that a command writes, and -o its page

	files report.Files
}

// AddFlags adds the flags.
func (r *Report) AddFlags(fs *pflag.FlagSet) {
	heading := "What to report"
	if r.Only {
		heading = writeHeading
	}
	Section(fs, heading, func(fs *pflag.FlagSet) {
		if r.Only {
			fs.StringVarP(&r.files.Page, "output", "o", "", "`FILE` the page (default: the plan's name with .html)")
		} else {
			fs.StringVar(&r.files.Page, "report", "", "`FILE` a page (HTML) with curves, the importance of blocks, provenance and how to run the model")
		}
		fs.StringVar(&r.files.Card, "markdown", "", "`FILE` a model card for a hub, usually README.md")
		fs.StringVar(&r.files.Charts, "charts", "", "`DIR` the charts as SVG and PNG files in that folder")
	})
}

// Resolve returns the files. output is the model that is written beside them: a report does not go by the name of a model whose
// own name is chosen later.
func (r *Report) Resolve(output string) (report.Files, error) {
	if !r.Only && output == "" && (filepath.Ext(r.files.Page) == ".gguf" || filepath.Ext(r.files.Card) == ".gguf") {
		return r.files, Errorf("a report is no model; give its file a name that does not end in .gguf")
	}
	return r.files, nil
}
