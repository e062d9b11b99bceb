package commands

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
)

// NewPruneCmd returns "ggufprune prune".
func NewPruneCmd(e engine.Runtime) *cobra.Command {
	o := pruneOptions{searchFlags: newSearchFlags(e), repair: flags.Repair{Method: flags.DefaultRepair}, quantize: flags.Quantize{Engine: e, Last: true}}
	return Define(e, &cobra.Command{
		Use:   "prune -m FILE (--ratio R | --blocks N | --target-size SIZE | ...) [flags]",
		Short: "search, write and check a pruned model: the whole job",
		Long: `Removes what the model can best do without, re-fits what stays, writes a GGUF, and checks that llama.cpp computes from
that file what was measured. A file that fails the check is removed.

By default channels of the FFNs go, and whole attentions where that costs less: some shapes are fitted on a part of the text, and
the best one on all of it. Where that cannot be, or with --kind mix, attn, ffn, layer or pair, whole blocks are searched.`,
		Example: `  ggufprune prune -m model.gguf --ratio 0.2
  ggufprune prune -m model.gguf --target-size 3.2GiB -f calibration.jsonl -ngl 99 -o small.gguf --plan small.json`,
	}, o.addFlags, o.run)
}

// pruneOptions are the flags of prune.
type pruneOptions struct {
	searchFlags
	output   flags.Output
	repair   flags.Repair
	ollama   flags.Ollama
	quantize flags.Quantize
	compare  flags.Compare
	report   flags.Report
	tasks    flags.Tasks
	plan     string
	why      string // blocks are searched though the user did not say so; "": they are not, or the user did
}

func (o *pruneOptions) addFlags(fs *pflag.FlagSet) {
	o.addGoals(fs)
	o.output.AddFlags(fs)
	flags.Section(fs, "What to write", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.plan, "plan", "", "`FILE` also save the plan: the order of removal with every score")
	})
	o.ollama.AddFlags(fs)
	o.repair.AddFlags(fs)
	flags.Section(fs, "What else to choose by", func(fs *pflag.FlagSet) {
		o.tasks.AddFlags(fs, "with channels: of the shapes tried, one that answers this task clearly better is preferred, and the file's accuracy is printed")
	})
	o.quantize.AddFlags(fs)
	o.compare.AddFlags(fs)
	o.report.AddFlags(fs)
	o.addTexts(fs)
}

func (o *pruneOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) error {
	j, err := o.job()
	if err != nil {
		return err
	}
	flags.Tell(j.Spec, u)
	if o.why != "" {
		u.Notef("whole blocks are searched: %s", o.why)
	}
	files, err := o.report.Resolve(j.Output)
	if err != nil {
		return err
	}
	if files.Any() {
		if err := files.Check(j.Force, jobFiles(j)...); err != nil {
			return err
		}
	}
	out, err := prune.Run(cmd.Context(), j, u)
	if err != nil {
		return o.tellApply(err, cmd.Flags(), u)
	}
	var reported *report.Written
	var unreported error
	if files.Any() {
		if reported, err = writeReport(files, j, out, commandLine(cmd.Context())); err != nil {
			unreported = fmt.Errorf("the pruned model is written (%s), but not its report: %w", out.Write.Path, err)
		}
	}
	return errors.Join(render.Outcome(u, "prune", out, o.plan, reported), unreported)
}

// job checks the flags.
func (o *pruneOptions) job() (j prune.Job, err error) {
	if j.SearchJob, err = o.search(); err != nil {
		return j, err
	}
	j.SavePlan, j.Output, j.Force, j.NoCheck = o.plan, o.output.Path, o.output.Force, o.output.NoCheck
	if j.Layout, err = o.output.Resolve(); err != nil {
		return j, err
	}
	why := o.whyBlocks(j)
	if o.method.Asked("kind") == "" && why == "" {
		j.Unit = blockmask.Auto
	}
	if j.Tasks.Tasks, j.Tasks.First, err = o.tasks.Resolve(); err != nil {
		return j, err
	}
	j.Tasks.Batch, j.Tasks.UBatch = flags.DefaultBatch, flags.DefaultUBatch
	switch {
	case j.Unit == blockmask.Width || j.Unit == blockmask.Auto:
		if why != "" {
			return j, flags.Errorf("%s, and --kind %s narrows FFNs; leave one of them out", why, j.Unit)
		}
		if err := o.whyNot(j); err != nil {
			return j, err
		}
	case len(j.Tasks.Tasks) > 0 && why != "":
		return j, flags.Errorf("--task is for channels, but %s; leave one of them out, or measure the file by ggufprune eval", why)
	case len(j.Tasks.Tasks) > 0:
		return j, flags.Errorf("--task is for --kind auto and width; measure the file by ggufprune eval")
	case o.method.Asked("kind") == "" && j.Goal.Blocks == 0:
		o.why = why
	}
	if j.Repair, err = o.repair.Resolve(j.Method, o.quantize.Type, j.Goal); err != nil {
		return j, err
	}
	j.Repair.Chat = j.Calibration.Chat
	if j.Repair.Method == "" && j.Method.Spec().Repairs {
		return j, flags.Errorf("--strategy %s counts on a repair of what it leaves; leave --repair off out", j.Method.Strategy)
	}
	if j.Ollama, err = o.ollama.Resolve(); err != nil {
		return j, err
	}
	if j.Quantize, err = o.quantize.Resolve(o.quantize.Type, j.Spec.Threads, j.Goal); err != nil {
		return j, err
	}
	if j.Output != "" && j.SavePlan != "" && filepath.Clean(j.Output) == filepath.Clean(j.SavePlan) {
		return j, flags.Errorf("--output and --plan are both %s; give them different names", j.Output)
	}
	if j.Layout == layout.Native && slices.Contains([]blockmask.Unit{blockmask.Mix, blockmask.Attn, blockmask.Ffn}, j.Unit) {
		return j, flags.Errorf("--layout native needs full layers; add --kind layer, pair or width, or leave the layout to auto")
	}
	if err := j.Text.Keep(j.Repair.Files...); err != nil {
		return j, err
	}
	j.Compare, err = o.compare.Resolve(j.Text.Files)
	return j, err
}

// whyBlocks says which flag asks for a search of blocks, since channels have none of it; "" where none does.
func (o *pruneOptions) whyBlocks(j prune.Job) string {
	if name := o.method.Asked("strategy", "metric", "confidence"); name != "" {
		return fmt.Sprintf("--%s is for searches of blocks", name)
	}
	switch {
	case j.Goal.Blocks > 0:
		return "--blocks counts whole blocks"
	case j.Method.Time > 0 && j.Goal.OfQuality():
		return "the time that a bound of quality takes can be planned for blocks only (--time)"
	case o.repair.Chosen():
		return "--repair is for blocks, and channels have a fit of their own"
	case j.Layout == layout.Zeros:
		return "--layout zeros is for blocks"
	}
	return ""
}

// whyNot refuses what has a meaning for searches of blocks only, but does not ask for one.
func (o *pruneOptions) whyNot(j prune.Job) error {
	switch {
	case j.Calibration.Self:
		return flags.Errorf("--calib self is for searches of blocks, and in a fit of channels a part of the text is the model's own anyway; leave it out, or add --kind mix")
	case o.method.Asked("held-out") != "":
		return flags.Errorf("--held-out is for searches of blocks, and a fit of channels holds back a part of its text by itself; leave it out, or add --kind mix")
	}
	return nil
}

// jobFiles are the files that a job reads and writes.
func jobFiles(j prune.Job) []string {
	var out []string
	for _, path := range append(j.Inputs(), j.SavePlan, j.Output, j.Quantize.IMatrixOut) {
		if path != "" {
			out = append(out, path)
		}
	}
	return out
}

// writeReport makes the report of what a job did.
func writeReport(to report.Files, j prune.Job, out *prune.Outcome, command []string) (*report.Written, error) {
	in, err := report.OfPrune(out, j.SavePlan)
	if err != nil {
		return nil, err
	}
	in.Command = command
	if c := out.Comparison; c != nil {
		in.Tables, in.Measured = append(in.Tables, render.ComparisonTable(c)), render.Measured(c)
	}
	files := jobFiles(j)
	if out.Write != nil && j.Output == "" {
		files = append(files, out.Write.Path)
	}
	return to.Write(in, j.Force, files...)
}
