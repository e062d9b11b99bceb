package commands

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// NewApplyCmd returns "ggufprune apply".
func NewApplyCmd(e engine.Runtime) *cobra.Command {
	o := applyOptions{
		goals: flags.Goals{OfPlan: true}, text: flags.Text{Convention: perplexity.Windows}, output: flags.Output{Several: true},
		repair: flags.Repair{Method: flags.DefaultRepair}, quantize: flags.Quantize{Engine: e, Last: true},
		model: flags.Model{Engine: e},
	}
	return Define(e, &cobra.Command{
		Use:   "apply -m FILE (--plan FILE | --order FILE | --mask MASK) [flags]",
		Short: "only write and check: a plan's or a given mask's blocks removed",
		Long: `Writes a GGUF without the blocks that a plan or a mask removes, re-fits those that stay, and checks it as prune does. A plan is
nested: give several sizes, or --all, and one file is written for each, with a repair for each: --repair off does without.
Where a plan removes channels of FFNs, the ones that stay are fitted again; with --repair off the others are only cut off.

An order is the del_order_list.json that the code of BlockPruner's authors writes. It is applied as a plan is, but says nothing of
the model that it was made for, and has no scores: --target-speedup and bounds of quality need a plan.`,
		Example: `  ggufprune apply -m model.gguf --plan plan.json --ratio 0.2 -o small.gguf
  ggufprune apply -m model.gguf --plan plan.json --ratio 0.1 --ratio 0.2 --target-size 3GiB -o models/
  ggufprune apply -m llama-2-7b.gguf --order Llama-2-7b_mix_alpaca_ns_64_del_order_list.json --blocks 12
  ggufprune apply -m model.gguf --mask attn:3,ffn:7-9`,
	}, o.addFlags, o.run)
}

// applyOptions are the flags of apply.
type applyOptions struct {
	goals    flags.Goals
	output   flags.Output
	repair   flags.Repair
	ollama   flags.Ollama
	quantize flags.Quantize
	text     flags.Text
	model    flags.Model
	all      bool

	plan, order, mask string
}

func (o *applyOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to remove", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.plan, "plan", "", "`FILE` the plan's blocks")
		fs.StringVar(&o.order, "order", "", "`FILE` the blocks of an order in BlockPruner's form (del_order_list.json)")
		fs.BoolVar(&o.all, "all", false, "one file for each step of the plan or order")
		fs.StringVar(&o.mask, "mask", "", "`MASK` these blocks: attn:3,ffn:7-9")
	})
	o.goals.AddFlags(fs)
	o.output.AddFlags(fs)
	o.ollama.AddFlags(fs)
	o.repair.AddFlags(fs)
	o.quantize.AddFlags(fs)
	o.text.AddFlags(fs)
	o.model.AddFlags(fs)
}

func (o *applyOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) error {
	j, goals, err := o.job()
	if err != nil {
		return err
	}
	flags.Tell(j.Spec, u)
	if o.all || len(goals) > 1 {
		series := render.NewSeries(u)
		return series.Done(prune.ApplyAll(cmd.Context(), j, goals, u, series.Add))
	}
	if len(goals) == 1 {
		j.Goal = goals[0]
	}
	out, err := prune.Apply(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Outcome(u, "apply", out, "", nil)
}

// sources counts what says what to remove.
func (o *applyOptions) sources() int {
	n := 0
	for _, given := range []string{o.plan, o.order, o.mask} {
		if given != "" {
			n++
		}
	}
	return n
}

// job checks the flags. The goals are one for each file; none is all of the plan.
func (o *applyOptions) job() (j prune.ApplyJob, goals []search.Goal, err error) {
	j.Tool = version.Tool()
	given := o.goals.Given()
	switch {
	case o.sources() != 1:
		return j, nil, flags.Errorf("give one of --plan plan.json, --order order.json and --mask attn:3,ffn:7-9")
	case o.mask != "" && len(given) > 0:
		return j, nil, flags.Errorf("--%s goes with --plan and --order; a mask removes all that it names", given[0])
	case o.mask != "" && o.all:
		return j, nil, flags.Errorf("--all goes with --plan and --order; a mask has no steps")
	case o.all && len(given) > 0:
		return j, nil, flags.Errorf("--all and --%s exclude each other; give one of them", given[0])
	}
	if goals, err = o.goals.Resolve(); err != nil {
		return j, nil, err
	}
	for i, g := range goals {
		if o.order != "" && (g.OfQuality() || g.Speedup > 0) {
			return j, nil, flags.Errorf("--%s needs a plan, since an order has neither scores nor times; give --blocks, --ratio or --target-size", given[i])
		}
	}
	if j.Mask, err = blockmask.Parse(o.mask); err != nil {
		return j, nil, flags.Errorf("--mask: %v", err)
	}
	if j.Spec, err = o.model.Resolve(); err != nil {
		return j, nil, err
	}
	if j.Text, err = o.text.Resolve(); err != nil {
		return j, nil, err
	}
	if j.Repair, err = o.repair.Resolve(find.Method{}, o.quantize.Type, goals...); err != nil {
		return j, nil, err
	}
	if err := j.Text.Keep(j.Repair.Files...); err != nil {
		return j, nil, err
	}
	j.Plan, j.Order, j.Output, j.Force, j.NoCheck = o.plan, o.order, o.output.Path, o.output.Force, o.output.NoCheck
	if j.Layout, err = o.output.Resolve(); err != nil {
		return j, nil, err
	}
	if j.Ollama, err = o.ollama.Resolve(); err != nil {
		return j, nil, err
	}
	several := o.all || len(goals) > 1
	if several && j.Ollama != "" {
		return j, nil, flags.Errorf("--ollama names one model, and several files are to be written; give one size")
	}
	if several && o.quantize.IMatrixOut != "" {
		return j, nil, flags.Errorf("--imatrix-out is one file, and several models are written; give one size")
	}
	j.Quantize, err = o.quantize.Resolve(o.quantize.Type, j.Spec.Threads, goals...)
	return j, goals, err
}
