package commands

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// NewReportCmd returns "ggufprune report".
func NewReportCmd(e engine.Runtime) *cobra.Command {
	o := reportOptions{report: flags.Report{Only: true}}
	return Define(e, &cobra.Command{
		Use:   "report PLAN [-m FILE] [--pruned FILE] [flags]",
		Short: "a page of a plan: curves, importance of blocks, provenance",
		Long: `Makes a page (HTML) of a plan: curves of quality against size and speed, the importance of each block, what is removed in which
order, how to run the model, and all that identifies what was measured. It is one file without scripts; nothing is loaded from
anywhere. No model is run.`,
		Example: `  ggufprune report plan.json
  ggufprune report plan.json -m model.gguf --pruned small.gguf -o report.html --markdown README.md --charts charts`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}, o.addFlags, o.run)
}

// reportOptions are the flags of report.
type reportOptions struct {
	report        flags.Report
	model, pruned string
	force         bool
}

func (o *reportOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to report on", func(fs *pflag.FlagSet) {
		fs.StringVarP(&o.model, "model", "m", "", "`FILE` the whole model, for its name, licence and author; it must be the one that the plan is for")
		fs.StringVar(&o.pruned, "pruned", "", "`FILE` the file that prune or apply wrote from the plan, which then is what the report is about")
	})
	o.report.AddFlags(fs)
	flags.Section(fs, "What to write", func(fs *pflag.FlagSet) {
		fs.BoolVar(&o.force, "force", false, "overwrite existing files")
	})
}

func (o *reportOptions) run(cmd *cobra.Command, args []string, u *ui.UI) error {
	if len(args) != 1 {
		return flags.Errorf("name one plan: ggufprune report plan.json")
	}
	plan := args[0]
	files, err := o.report.Resolve("")
	if err != nil {
		return err
	}
	if files.Page == "" {
		files.Page = strings.TrimSuffix(plan, filepath.Ext(plan)) + ".html"
	}
	out, err := report.Run(cmd.Context(), report.Job{
		Plan: plan, Source: o.model, Pruned: o.pruned, Files: files, Force: o.force, Command: commandLine(cmd.Context()),
	})
	if err != nil {
		return err
	}
	return render.Report(u, plan, out)
}
