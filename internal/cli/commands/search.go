package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
)

const searchUsage = `Usage: ggufprune search -m FILE (--ratio R | --blocks N | --target-size SIZE | ...) --plan FILE [flags]

Searches which blocks the model can best do without, and saves the order of removal with every score. The orders are
nested: "ggufprune apply" makes a model of any size on the way from one plan.

What was measured is kept in PLAN.journal until the search is done: started again after Ctrl-C, a crash or a kill, the same
command goes on from there.

Examples:
  ggufprune search -m model.gguf --ratio 0.3 --plan plan.json
  ggufprune search -m model.gguf --blocks 8 --kind attn -f calibration.jsonl --chunks 64 --plan attention.json
` + goalUsage + methodUsage + `
What to write:
      --plan FILE          the plan
      --layout NAME        the layout that sizes are predicted for: auto, native, deci or zeros (default: auto)
      --force              overwrite an existing plan
` + textUsage + calibUsage + modelUsage + commonUsage

// searchCommand is "ggufprune search".
type searchCommand struct {
	model        modelFlags
	text         textFlags
	goal         goalFlags
	method       methodFlags
	calib        calibFlags
	plan, layout string
	force        bool
}

func (c *searchCommand) usage() string { return searchUsage }

func (c *searchCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Samples)
	c.goal.add(fs)
	fs.StringVar(&c.plan, "plan", "", "")
	c.method.add(fs)
	c.calib.add(fs)
	fs.StringVar(&c.layout, "layout", string(layout.Auto), "")
	fs.BoolVar(&c.force, "force", false, "")
}

func (c *searchCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	j, err := searchJob(fs, &c.model, &c.text, &c.goal, &c.method, &c.calib)
	if err != nil {
		return err
	}
	if c.plan == "" {
		return usagef("nothing says where the plan goes; give --plan plan.json")
	}
	if j.Layout, err = layout.ParseKind(c.layout); err != nil {
		return usagef("--layout: %v", err)
	}
	j.Plan, j.Force = c.plan, c.force
	out, err := pipeline.Search(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	return printOutcome(u, "search", out, c.plan)
}
