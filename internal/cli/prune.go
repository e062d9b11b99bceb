package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

const pruneUsage = `Usage: ggufprune prune -m FILE (--ratio R | --blocks N | --target-size SIZE | ...) [flags]

Searches which blocks the model can best do without, re-fits those that stay, writes a GGUF, and checks that llama.cpp
computes from that file what was measured. A file that fails the check is removed.

Examples:
  ggufprune prune -m model.gguf --ratio 0.2
  ggufprune prune -m model.gguf --target-size 3.2GiB -f calibration.jsonl -ngl 99 -o small.gguf --plan small.json
` + goalUsage + methodUsage + `
What to write:
  -o, --output FILE        the file (default: a name by the GGUF convention, in this folder)
      --plan FILE          also save the plan: the order of removal with every score
      --layout NAME        auto, native, deci or zeros (default: auto, the best one that is exact)
      --force              overwrite existing files
      --no-check           do not check the written file
` + repairUsage + ollamaUsage + quantUsage + pruneCompareUsage + reportUsage + textUsage + calibUsage + modelUsage + commonUsage

// pruneCommand is "ggufprune prune".
type pruneCommand struct {
	model  modelFlags
	text   textFlags
	goal   goalFlags
	output outputFlags
	repair repairFlags
	ollama ollamaFlags
	quant  quantizeFlags
	method methodFlags
	report reportFlags
	calib  calibFlags
	plan   string

	compare pruneCompareFlags
}

func (c *pruneCommand) usage() string { return pruneUsage }

func (c *pruneCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Samples)
	c.goal.add(fs)
	c.output.add(fs)
	c.repair.add(fs, defaultRepair)
	c.ollama.add(fs)
	c.quant.add(fs)
	fs.StringVar(&c.plan, "plan", "", "")
	c.method.add(fs)
	c.compare.add(fs)
	c.report.add(fs)
	c.calib.add(fs)
}

func (c *pruneCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	j, err := searchJob(fs, &c.model, &c.text, &c.goal, &c.method, &c.calib)
	if err != nil {
		return err
	}
	j.Plan = c.plan
	if err := c.output.fill(&j); err != nil {
		return err
	}
	if err := c.repair.fill(fs, &j); err != nil {
		return err
	}
	if err := c.repair.checkType(c.quant.typ, j.Goal); err != nil {
		return err
	}
	if j.Repair.Method == "" && j.Method.Strategy == "aware" {
		return usagef("--strategy aware counts on a repair of what it leaves; leave --repair off out")
	}
	if defaultRepair != fit.Off && j.Method.Time > 0 && !c.repair.asked(fs) {
		u.Notef("no repair, whose time --time does not plan; --repair auto adds one")
	}
	if err := c.ollama.fill(&j); err != nil {
		return err
	}
	if err := c.quant.fill(fs, &j, j.Goal); err != nil {
		return err
	}
	if err := sameOutputs(j.Output, j.Plan); err != nil {
		return err
	}
	if j.Layout == layout.Native && j.Unit != blockmask.Whole {
		return usagef("--layout native needs whole layers; add --kind layer, or leave the layout to auto")
	}
	if j.Compare, err = c.compare.job(); err != nil {
		return err
	}
	if err := c.report.check(j); err != nil {
		return err
	}
	out, err := pipeline.Prune(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	if err := c.report.write(j, out, commandLine(ctx)); err != nil {
		return fmt.Errorf("the pruned model is written (%s), but not its report: %w", out.Write.Path, err)
	}
	return printOutcome(u, "prune", out, c.plan)
}

// searchJob is what prune and search have in common.
func searchJob(fs *pflag.FlagSet, m *modelFlags, t *textFlags, g *goalFlags, how *methodFlags, calib *calibFlags) (j pipeline.Job, err error) {
	j.Tool = Version()
	if j.Goal, err = g.goal(); err != nil {
		return j, err
	}
	if j.Runtime, err = m.runtime(); err != nil {
		return j, err
	}
	if j.Calibration, err = calib.take(fs, t); err != nil {
		return j, err
	}
	if j.Text, err = t.text(fs); err != nil {
		return j, err
	}
	if j.Calibration.Self && !fs.Changed("chunks") {
		j.Text.Max = 0
	}
	if j.Method, j.Unit, err = how.method(fs); err != nil {
		return j, err
	}
	if j.Method.Strategy == "refine" && (j.Goal.MaxPPLRatio > 0 || j.Goal.MaxKLD > 0) {
		return j, usagef("--strategy refine needs an amount to remove, not a bound of quality; give --ratio, or use --strategy fast")
	}
	j.Method.Seed = j.Text.Seed
	return j, nil
}
