package commands

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/inspect"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
)

// NewInspectCmd returns "ggufprune inspect".
func NewInspectCmd(e engine.Runtime) *cobra.Command {
	o := inspectOptions{model: flags.Model{Engine: e}}
	return Define(e, &cobra.Command{
		Use:   "inspect -m FILE [--mask MASK | --plan FILE] [flags]",
		Short: "a model's blocks, their sizes, and what could be removed how",
		Long: `Shows a model's blocks with their sizes, whether blocks can be left out of its graph, and with which layout a file without
some of them would be written. Of a file that this program pruned it tells what was removed, and how many channels each FFN
lost. Exits with 3 if the model is not supported.`,
		Example: `  ggufprune inspect -m model.gguf
  ggufprune inspect -m model.gguf --mask attn:3,ffn:7-9
  ggufprune inspect -m model.gguf --plan plan.json`,
	}, o.addFlags, o.run)
}

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	model        flags.Model
	mask, layout string
	plan         string
}

func (o *inspectOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to show", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.mask, "mask", "", "`MASK` also the layout without these blocks: attn:3,ffn:7-9")
		fs.StringVar(&o.plan, "plan", "", "`FILE` also the layout without what a plan removes")
		fs.StringVar(&o.layout, "layout", string(layout.Auto), "`NAME` auto, native, deci or zeros (default: auto, the best one that is exact)")
		flags.Choices(fs, "layout", layout.Kinds...)
	})
	o.model.AddFlags(fs)
}

func (o *inspectOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) error {
	if o.mask != "" && o.plan != "" {
		return flags.Errorf("--mask and --plan exclude each other; give one of them")
	}
	mask, err := blockmask.Parse(o.mask)
	if err != nil {
		return flags.Errorf("--mask: %v", err)
	}
	kind, err := layout.ParseKind(o.layout)
	if err != nil {
		return flags.Errorf("--layout: %v", err)
	}
	r, err := o.model.Resolve()
	if err != nil {
		return err
	}
	flags.Tell(r, u)
	in, err := inspect.Run(cmd.Context(), r, inspect.Query{Mask: mask, Plan: o.plan, Kind: kind})
	if err != nil {
		return err
	}
	if err := render.Inspection(u, in); err != nil {
		return err
	}
	if in.Reason != "" {
		return &source.UnsupportedError{Text: fmt.Sprintf("%s: blocks cannot be left out of its graph: %s; choose another model", r.Path, in.Reason)}
	}
	return nil
}
