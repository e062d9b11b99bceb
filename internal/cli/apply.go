package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

const applyUsage = `Usage: ggufprune apply -m FILE (--plan FILE | --mask MASK) [flags]

Writes a GGUF without the blocks that a plan or a mask removes, and checks it as prune does.

Examples:
  ggufprune apply -m model.gguf --plan plan.json --ratio 0.2 -o small.gguf
  ggufprune apply -m model.gguf --mask attn:3,ffn:7-9

What to remove:
      --plan FILE          the plan's blocks, all or so many as the next three say
      --ratio R            this part of the whole model's parameters, such as 0.2
      --blocks N           this number of blocks
      --target-size SIZE   until the file has at most this size: 3.2GiB, 800MB
      --mask MASK          these blocks: attn:3,ffn:7-9

What to write:
  -o, --output FILE        the file (default: a name by the GGUF convention, in this folder)
      --layout NAME        auto, native, deci or zeros (default: auto, the best one that is exact)
      --force              overwrite an existing file
      --no-check           do not check the written file
` + textUsage + modelUsage + commonUsage

// applyCommand is "ggufprune apply".
type applyCommand struct {
	model      modelFlags
	text       textFlags
	goal       goalFlags
	output     outputFlags
	plan, mask string
}

func (c *applyCommand) usage() string { return applyUsage }

func (c *applyCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Windows)
	c.goal.add(fs)
	c.output.add(fs)
	fs.StringVar(&c.plan, "plan", "", "")
	fs.StringVar(&c.mask, "mask", "", "")
}

func (c *applyCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	j, err := c.job(fs)
	if err != nil {
		return err
	}
	out, err := pipeline.Apply(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	return printOutcome(u, "apply", out, "")
}

// job checks the flags.
func (c *applyCommand) job(fs *pflag.FlagSet) (j pipeline.Job, err error) {
	j.Tool = Version()
	switch {
	case (c.plan == "") == (c.mask == ""):
		return j, usagef("give either --plan plan.json or --mask attn:3,ffn:7-9")
	case c.mask != "" && len(c.goal.given(fs)) > 0:
		return j, usagef("%s goes with --plan; a mask removes all that it names", c.goal.given(fs)[0])
	case len(c.goal.given(fs)) > 0:
		if j.Goal, err = c.goal.goal(fs); err != nil {
			return j, err
		}
	}
	if j.Mask, err = blockmask.Parse(c.mask); err != nil {
		return j, usagef("--mask: %v", err)
	}
	if j.Runtime, err = c.model.runtime(); err != nil {
		return j, err
	}
	if j.Text, err = c.text.text(fs); err != nil {
		return j, err
	}
	j.Plan = c.plan
	return j, c.output.fill(&j)
}
