package commands

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/perplexity"
)

// NewRepairCmd returns "ggufprune repair".
func NewRepairCmd(e engine.Runtime) *cobra.Command {
	o := repairOptions{
		text: flags.Text{Convention: perplexity.Windows}, output: flags.Output{Same: true}, repair: flags.Repair{Method: fit.Auto},
		model: flags.Model{Engine: e},
	}
	return Define(e, &cobra.Command{
		Use:   "repair ORIGINAL PRUNED [flags]",
		Short: "re-fit what stayed in a pruned model, to win back what it lost",
		Long: `Writes the pruned model once more, with the output projections of the blocks that stay re-fitted to the original's residual
stream: in the same shapes, types and layout. What the file lacks is read from its metadata; a file that this program has not
written is refused. The result is checked as apply does it. With the plan that it was made from, the order of removal and the
scores are in the new file's metadata, too.`,
		Example: `  ggufprune repair model.gguf pruned.gguf
  ggufprune repair model.gguf pruned.gguf -o repaired.gguf -f calibration.jsonl --repair full`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeModels(2),
	}, o.addFlags, o.run)
}

// repairOptions are the flags of repair.
type repairOptions struct {
	output flags.Output
	repair flags.Repair
	text   flags.Text
	model  flags.Model
	plan   string
}

func (o *repairOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to write", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.plan, "plan", "", "`FILE` the plan that the pruned file is a step of")
	})
	o.output.AddFlags(fs)
	o.repair.AddFlags(fs)
	o.text.AddFlags(fs)
	o.model.AddFlags(fs)
}

func (o *repairOptions) run(cmd *cobra.Command, args []string, u *ui.UI) error {
	if o.model.Path != "" {
		args = append([]string{o.model.Path}, args...)
	}
	if len(args) != 2 {
		return flags.Errorf("name two models: ggufprune repair original.gguf pruned.gguf")
	}
	o.model.Path = args[0]
	j, err := o.job()
	if err != nil {
		return err
	}
	j.MaskOf = args[1]
	flags.Tell(j.Spec, u)
	out, err := prune.Apply(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Outcome(u, "repair", out, "", nil)
}

// job checks the flags.
func (o *repairOptions) job() (j prune.ApplyJob, err error) {
	j.Tool, j.Plan, j.Output, j.Force, j.NoCheck = version.Tool(), o.plan, o.output.Path, o.output.Force, o.output.NoCheck
	if j.Spec, err = o.model.Resolve(); err != nil {
		return j, err
	}
	if j.Text, err = o.text.Resolve(); err != nil {
		return j, err
	}
	if j.Repair, err = o.repair.Resolve(find.Method{}, ""); err != nil {
		return j, err
	}
	if err := j.Text.Keep(j.Repair.Files...); err != nil {
		return j, err
	}
	j.Repair.Usual = false
	if j.Repair.Method == "" {
		return j, flags.Errorf("--repair off leaves nothing to do; use auto, full or map")
	}
	j.Layout, err = o.output.Resolve()
	return j, err
}
