package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

const pplUsage = `Usage: ggufprune ppl -m FILE [-f FILE] [--mask MASK] [flags]

Prints a model's perplexity. With the convention "windows", the default, these are llama-perplexity's digits for the same
file, text, -c, -b and --chunks. With a mask, it is the perplexity of the model with those blocks left out.

Examples:
  ggufprune ppl -m model.gguf -f wiki.test.raw
  ggufprune ppl -m model.gguf -f wiki.test.raw -c 1024 --chunks 20 --mask attn:3,ffn:7-9

What to leave out:
      --mask MASK          these blocks: attn:3,ffn:7-9
` + textUsage + modelUsage + commonUsage

// pplCommand is "ggufprune ppl".
type pplCommand struct {
	model modelFlags
	text  textFlags
	mask  string
}

func (c *pplCommand) usage() string { return pplUsage }

func (c *pplCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Windows)
	fs.StringVar(&c.mask, "mask", "", "")
}

func (c *pplCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) (err error) {
	j := pipeline.PPLJob{UBatch: c.text.ubatch}
	if j.Runtime, err = c.model.runtime(); err != nil {
		return err
	}
	if j.Text, err = c.text.windows(fs); err != nil {
		return err
	}
	if j.Mask, err = blockmask.Parse(c.mask); err != nil {
		return usagef("--mask: %v", err)
	}
	out, err := pipeline.PPL(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	if out.Estimate.Convention == perplexity.Samples {
		u.Notef("convention samples: not comparable with llama-perplexity")
	}
	u.Resultf("%s", out.Estimate)
	return u.JSON(newPPLJSON(out, j.Mask))
}
