package commands

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

// NewPPLCmd returns "ggufprune ppl".
func NewPPLCmd(e engine.Runtime) *cobra.Command {
	o := pplOptions{text: flags.Text{Convention: perplexity.Windows, Exact: true}, model: flags.Model{Engine: e}}
	return Define(e, &cobra.Command{
		Use:   "ppl -m FILE [-f FILE] [--mask MASK] [flags]",
		Short: "perplexity of a model, or of a model with blocks left out",
		Long: `Prints a model's perplexity. With the convention "windows", the default, these are llama-perplexity's digits for the same
file, text, -c, -b and --chunks. With a mask, it is the perplexity of the model with those blocks left out.`,
		Example: `  ggufprune ppl -m model.gguf -f wiki.test.raw
  ggufprune ppl -m model.gguf -f wiki.test.raw -c 1024 --chunks 20 --mask attn:3,ffn:7-9`,
	}, o.addFlags, o.run)
}

// pplOptions are the flags of ppl.
type pplOptions struct {
	text  flags.Text
	model flags.Model
	mask  string
}

func (o *pplOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to leave out", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.mask, "mask", "", "`MASK` these blocks: attn:3,ffn:7-9")
	})
	o.text.AddFlags(fs)
	o.model.AddFlags(fs)
}

func (o *pplOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) (err error) {
	j := evaluate.PPLJob{UBatch: o.text.UBatch}
	if j.Spec, err = o.model.Resolve(); err != nil {
		return err
	}
	if j.Text, err = o.text.Resolve(); err != nil {
		return err
	}
	if j.Mask, err = blockmask.Parse(o.mask); err != nil {
		return flags.Errorf("--mask: %v", err)
	}
	flags.Tell(j.Spec, u)
	out, err := evaluate.PPL(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	if out.Estimate.Convention == perplexity.Samples {
		u.Notef("convention samples: not comparable with llama-perplexity")
	}
	return render.PPL(u, out, j.Mask)
}
