package cli

import (
	"context"
	"errors"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

const applyUsage = `Usage: ggufprune apply -m FILE (--plan FILE | --mask MASK) [flags]

Writes a GGUF without the blocks that a plan or a mask removes, re-fits those that stay, and checks it as prune does. A plan is
nested: give several sizes, or --all, and one file is written for each, with a repair for each: --repair off does without.

Examples:
  ggufprune apply -m model.gguf --plan plan.json --ratio 0.2 -o small.gguf
  ggufprune apply -m model.gguf --plan plan.json --ratio 0.1 --ratio 0.2 --target-size 3GiB -o models/
  ggufprune apply -m model.gguf --mask attn:3,ffn:7-9

What to remove:
      --plan FILE          the plan's blocks, all or so many as these say, each of which may be given several times:
      --ratio R            this part of the whole model's parameters, such as 0.2
      --blocks N           this number of blocks
      --target-size SIZE   until the file has at most this size: 3.2GiB, 800MB
      --target-speedup X   until it should be X times as fast, by the times in the plan
      --max-ppl-ratio X    the steps before the first with more than X times the whole model's perplexity, or
      --max-kld X          with more than this KL divergence: whichever the plan has
      --all                one file for each step of the plan
      --mask MASK          these blocks: attn:3,ffn:7-9

What to write:
  -o, --output FILE        the file; of several the folder (default: names by the GGUF convention, in this folder)
      --layout NAME        auto, native, deci or zeros (default: auto, the best one that is exact)
      --force              overwrite an existing file
      --no-check           do not check the written file
` + repairUsage + ollamaUsage + quantUsage + textUsage + modelUsage + commonUsage

// applyCommand is "ggufprune apply".
type applyCommand struct {
	model      modelFlags
	text       textFlags
	goal       goalFlags
	output     outputFlags
	repair     repairFlags
	ollama     ollamaFlags
	quant      quantizeFlags
	plan, mask string
	all        bool
}

func (c *applyCommand) usage() string { return applyUsage }

func (c *applyCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Windows)
	c.goal.add(fs)
	c.output.add(fs)
	c.repair.add(fs, defaultRepair)
	c.ollama.add(fs)
	c.quant.add(fs)
	fs.StringVar(&c.plan, "plan", "", "")
	fs.StringVar(&c.mask, "mask", "", "")
	fs.BoolVar(&c.all, "all", false, "")
}

func (c *applyCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	j, goals, err := c.job(fs)
	if err != nil {
		return err
	}
	if !c.all && len(goals) < 2 {
		if len(goals) == 1 {
			j.Goal = goals[0]
		}
		out, err := pipeline.Apply(ctx, j, reporter{u})
		if err != nil {
			return err
		}
		return printOutcome(u, "apply", out, "")
	}
	var publishErr error
	results := seriesJSON{Command: "apply", Results: []resultJSON{}}
	err = pipeline.ApplyAll(ctx, j, goals, reporter{u}, func(out *pipeline.Outcome) {
		if len(results.Results) > 0 {
			u.Resultf("")
		}
		u.Resultf("steps   %d of %d, removed %s", len(out.Steps), len(out.Plan.Steps), out.Removed)
		printWrite(u, out)
		publishErr = errors.Join(publishErr, printPublication(u, out.Publish))
		results.Results = append(results.Results, newResultJSON("apply", out, ""))
	})
	if err := errors.Join(err, publishErr); err != nil {
		return err
	}
	return u.JSON(results)
}

// job checks the flags. The goals are one for each file; none is all of the plan.
func (c *applyCommand) job(fs *pflag.FlagSet) (j pipeline.Job, goals []search.Goal, err error) {
	j.Tool = Version()
	given := c.goal.given
	switch {
	case (c.plan == "") == (c.mask == ""):
		return j, nil, usagef("give either --plan plan.json or --mask attn:3,ffn:7-9")
	case c.mask != "" && len(given) > 0:
		return j, nil, usagef("--%s goes with --plan; a mask removes all that it names", given[0].name)
	case c.mask != "" && c.all:
		return j, nil, usagef("--all goes with --plan; a mask has no steps")
	case c.all && len(given) > 0:
		return j, nil, usagef("--all and --%s exclude each other; give one of them", given[0].name)
	}
	if goals, err = c.goal.goals(); err != nil {
		return j, nil, err
	}
	if j.Mask, err = blockmask.Parse(c.mask); err != nil {
		return j, nil, usagef("--mask: %v", err)
	}
	if j.Runtime, err = c.model.runtime(); err != nil {
		return j, nil, err
	}
	if j.Text, err = c.text.text(fs); err != nil {
		return j, nil, err
	}
	j.Plan = c.plan
	if err := c.repair.fill(fs, &j); err != nil {
		return j, nil, err
	}
	if err := c.repair.checkType(c.quant.typ, goals...); err != nil {
		return j, nil, err
	}
	if err := c.output.fill(&j); err != nil {
		return j, nil, err
	}
	if c.ollama.name != "" && (c.all || len(goals) > 1) {
		return j, nil, usagef("--ollama names one model, and several files are to be written; give one size")
	}
	if err := c.ollama.fill(&j); err != nil {
		return j, nil, err
	}
	if len(goals) > 1 || c.all {
		if c.quant.imatrixOut != "" {
			return j, nil, usagef("--imatrix-out is one file, and several models are written; give one size")
		}
	}
	return j, goals, c.quant.fill(fs, &j, goals...)
}
