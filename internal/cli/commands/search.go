package commands

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

// NewSearchCmd returns "ggufprune search".
func NewSearchCmd(e engine.Runtime) *cobra.Command {
	o := searchOptions{searchFlags: newSearchFlags(e)}
	return Define(e, &cobra.Command{
		Use:   "search -m FILE (--ratio R | --blocks N | --target-size SIZE | ...) --plan FILE [flags]",
		Short: "only search, and save the plan",
		Long: `Searches which blocks the model can best do without, and saves the order of removal with every score. The orders are
nested: "ggufprune apply" makes a model of any size on the way from one plan.

What was measured is kept in PLAN.journal until the search is done: started again after Ctrl-C, a crash or a kill, the same
command goes on from there.`,
		Example: `  ggufprune search -m model.gguf --ratio 0.3 --plan plan.json
  ggufprune search -m model.gguf --blocks 8 --kind attn -f calibration.jsonl --chunks 64 --plan attention.json`,
	}, o.addFlags, o.run)
}

// searchOptions are the flags of search.
type searchOptions struct {
	searchFlags
	plan, order, layout string
	force               bool
}

func (o *searchOptions) addFlags(fs *pflag.FlagSet) {
	o.addGoals(fs)
	flags.Section(fs, "What to write", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.plan, "plan", "", "`FILE` the plan")
		fs.StringVar(&o.order, "export-order", "", "`FILE` also the order in the form of BlockPruner's code (del_order_list.json), without scores")
		fs.StringVar(&o.layout, "layout", string(layout.Auto), "`NAME` the layout that sizes are predicted for: auto, native, deci or zeros")
		fs.BoolVar(&o.force, "force", false, "overwrite an existing plan or order")
		flags.Choices(fs, "layout", layout.Kinds...)
	})
	o.addTexts(fs)
}

func (o *searchOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) error {
	j, err := o.search()
	if err != nil {
		return err
	}
	if o.plan == "" {
		return flags.Errorf("nothing says where the plan goes; give --plan plan.json")
	}
	if j.Unit == blockmask.Width || j.Unit == blockmask.Auto {
		return flags.Errorf("--kind %s fits what stays, which a plan alone cannot hold; use ggufprune prune", j.Unit)
	}
	if o.order != "" && (j.Unit == blockmask.Whole || j.Unit == blockmask.Pairs) {
		return flags.Errorf("--export-order writes one block for each step, and --kind %s removes two; use --kind mix, attn or ffn", j.Unit)
	}
	if j.Layout, err = layout.ParseKind(o.layout); err != nil {
		return flags.Errorf("--layout: %v", err)
	}
	j.SavePlan, j.Order, j.Force = o.plan, o.order, o.force
	flags.Tell(j.Spec, u)
	out, err := prune.Search(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Outcome(u, "search", out, o.plan, nil)
}

// searchFlags are the flags that prune and search have in common.
type searchFlags struct {
	goals       flags.Goals
	method      flags.Method
	text        flags.Text
	calibration flags.Calibration
	model       flags.Model
}

func newSearchFlags(e engine.Runtime) searchFlags {
	return searchFlags{text: flags.Text{Convention: perplexity.Samples, Self: true}, model: flags.Model{Engine: e}}
}

// addGoals adds what stands first in the help, and addTexts what stands last.
func (o *searchFlags) addGoals(fs *pflag.FlagSet) {
	o.goals.AddFlags(fs)
	o.method.AddFlags(fs)
}

func (o *searchFlags) addTexts(fs *pflag.FlagSet) {
	o.text.AddFlags(fs)
	o.calibration.AddFlags(fs)
	o.model.AddFlags(fs)
}

// search checks the flags.
func (o *searchFlags) search() (j prune.SearchJob, err error) {
	j.Tool = version.Tool()
	goals, err := o.goals.Resolve()
	if err != nil {
		return j, err
	}
	j.Goal = goals[0]
	if j.Spec, err = o.model.Resolve(); err != nil {
		return j, err
	}
	if j.Calibration, err = o.calibration.Resolve(&o.text); err != nil {
		return j, err
	}
	if j.Text, err = o.text.Resolve(); err != nil {
		return j, err
	}
	if j.Calibration.Self && !o.text.Counted() {
		j.Text.Max = 0
	}
	if j.Method, j.Unit, err = o.method.Resolve(); err != nil {
		return j, err
	}
	if j.Method.Spec().Refines && (j.Goal.MaxPPLRatio > 0 || j.Goal.MaxKLD > 0) {
		return j, flags.Errorf("--strategy %s needs an amount to remove, not a bound of quality; give --ratio, or use --strategy fast", j.Method.Strategy)
	}
	j.Method.Seed = j.Text.Seed
	return j, nil
}
