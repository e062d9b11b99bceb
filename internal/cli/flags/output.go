package cli

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
)

// outputFlags say where and how a model is written.
type outputFlags struct {
	path, layout   string
	force, noCheck bool
}

func (o *outputFlags) add(fs *pflag.FlagSet) {
	o.addWithout(fs)
	fs.StringVar(&o.layout, "layout", string(layout.Auto), "")
}

// addWithout adds the flags of a command that has no choice of layout.
func (o *outputFlags) addWithout(fs *pflag.FlagSet) {
	fs.StringVarP(&o.path, "output", "o", "", "")
	fs.BoolVar(&o.force, "force", false, "")
	fs.BoolVar(&o.noCheck, "no-check", false, "")
}

// fill checks the flags and puts them into the job.
func (o *outputFlags) fill(j *pipeline.Job) error {
	kind, err := layout.ParseKind(o.layout)
	if err != nil {
		return usagef("--layout: %v", err)
	}
	j.Output, j.Layout, j.Force, j.NoCheck = o.path, kind, o.force, o.noCheck
	return nil
}

// sameOutputs refuses one name for two files.
func sameOutputs(model, plan string) error {
	if model != "" && plan != "" && filepath.Clean(model) == filepath.Clean(plan) {
		return usagef("--output and --plan are both %s; give them different names", model)
	}
	return nil
}

// reporter is a *ui.UI as a pipeline.Reporter: Start's result has another name for the same type.
type reporter struct{ *ui.UI }

func (r reporter) Start(label string, total int64) pipeline.Progress { return r.UI.Start(label, total) }
