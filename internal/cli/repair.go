package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

const repairCommandUsage = `Usage: ggufprune repair ORIGINAL PRUNED [flags]

Writes the pruned model once more, with the output projections of the blocks that stay re-fitted to the original's residual
stream: in the same shapes, types and layout. What the file lacks is read from its metadata; a file that this program has not
written is refused. The result is checked as apply does it. With the plan that it was made from, the order of removal and the
scores are in the new file's metadata, too.

Examples:
  ggufprune repair model.gguf pruned.gguf
  ggufprune repair model.gguf pruned.gguf -o repaired.gguf -f calibration.jsonl --repair full

What to write:
      --plan FILE          the plan that the pruned file is a step of
  -o, --output FILE        the file (default: a name by the GGUF convention, in this folder)
      --force              overwrite an existing file
      --no-check           do not check the written file
` + repairMethodUsage + string(fit.Auto) + repairOptionsUsage + textUsage + modelUsage + commonUsage

// repairCommand is "ggufprune repair".
type repairCommand struct {
	model  modelFlags
	text   textFlags
	output outputFlags
	repair repairFlags
	plan   string
}

func (c *repairCommand) usage() string { return repairCommandUsage }

// arguments says that the models are named without a flag.
func (*repairCommand) arguments() {}

func (c *repairCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Windows)
	c.output.addWithout(fs)
	c.repair.add(fs, fit.Auto)
	fs.StringVar(&c.plan, "plan", "", "")
}

func (c *repairCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	args := fs.Args()
	if c.model.path != "" {
		args = append([]string{c.model.path}, args...)
	}
	if len(args) != 2 {
		return usagef("name two models: ggufprune repair original.gguf pruned.gguf")
	}
	c.model.path = args[0]
	j, err := c.job(fs)
	if err != nil {
		return err
	}
	j.MaskOf = args[1]
	out, err := pipeline.Apply(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	return printOutcome(u, "repair", out, "")
}

// job checks the flags.
func (c *repairCommand) job(fs *pflag.FlagSet) (j pipeline.Job, err error) {
	j.Tool, j.Plan = Version(), c.plan
	if j.Runtime, err = c.model.runtime(); err != nil {
		return j, err
	}
	if j.Text, err = c.text.text(fs); err != nil {
		return j, err
	}
	if err := c.repair.fill(fs, &j); err != nil {
		return j, err
	}
	j.Repair.Usual = false
	if j.Repair.Method == "" {
		return j, usagef("--repair off leaves nothing to do; use auto, full or map")
	}
	return j, c.output.fill(&j)
}
