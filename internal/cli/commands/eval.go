package commands

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// NewEvalCmd returns "ggufprune eval".
func NewEvalCmd(e engine.Runtime) *cobra.Command {
	o := evalOptions{model: flags.Model{Engine: e}}
	return Define(e, &cobra.Command{
		Use:   "eval -m FILE --task NAME=FILE [--task NAME=FILE ...] [--mask MASK] [flags]",
		Short: "accuracy on multiple-choice tasks: HellaSwag, WinoGrande, PIQA, ARC",
		Long: `Prints a model's accuracy on multiple-choice tasks, zero-shot. The files are yours; their form is seen from what they hold:

  JSON                     JSON lines, an array, or the Hugging Face datasets server's rows, with the fields of the
                           published data set. Prompts and accuracy are lm-evaluation-harness's: acc by log-likelihood,
                           acc_norm by log-likelihood for each character.
  llama.cpp's forms        HellaSwag as text, WinoGrande as CSV, any task in the binary multiple-choice form. acc_norm
                           is by log-likelihood for each token, as llama-perplexity prints it for the same file (given
                           as -f to --hellaswag, as -bf to --winogrande and --multiple-choice).

With a mask, it is the accuracy of the model with those blocks left out.`,
		Example: `  ggufprune eval -m model.gguf --task piqa=piqa_valid.jsonl --task arc-easy=arc_easy_test.jsonl
  ggufprune eval -m model.gguf --task hellaswag=hellaswag_val_full.txt --hellaswag-tasks 400 --mask attn:3,ffn:7-9`,
	}, o.addFlags, o.run)
}

// evalOptions are the flags of eval.
type evalOptions struct {
	model                                 flags.Model
	tasks                                 flags.Tasks
	hellaSwag, winoGrande, multipleChoice int
	context, batch, ubatch                int
	mask                                  string
}

func (o *evalOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "Tasks", func(fs *pflag.FlagSet) {
		o.tasks.AddFlags(fs, "a task")
		fs.IntVar(&o.hellaSwag, "hellaswag-tasks", 0, "`N` only N items of each HellaSwag file in llama.cpp's form, those that llama-perplexity draws (default: all; "+
			"llama-perplexity takes 400)")
		fs.IntVar(&o.winoGrande, "winogrande-tasks", 0, "`N` the same of each WinoGrande file (default: all)")
		fs.IntVar(&o.multipleChoice, "multiple-choice-tasks", 0, "`N` the same of each file in the binary form (default: all)")
	})
	flags.Section(fs, "What to leave out", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.mask, "mask", "", "`MASK` these blocks: attn:3,ffn:7-9")
	})
	flags.Section(fs, "Batches", func(fs *pflag.FlagSet) {
		fs.IntVarP(&o.context, "ctx-size", "c", 0, "`N` most tokens of a question with its answer; longer ones lose their beginning (default: the model's)")
		fs.IntVarP(&o.batch, "batch-size", "b", flags.DefaultBatch, "`N` most tokens of a batch")
		fs.IntVar(&o.ubatch, "ubatch-size", flags.DefaultUBatch, "`N` most tokens of one graph")
	})
	o.model.AddFlags(fs)
}

func (o *evalOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) error {
	j, err := o.job()
	if err != nil {
		return err
	}
	flags.Tell(j.Spec, u)
	out, err := evaluate.Tasks(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Eval(u, out, j.Mask)
}

// job checks the flags.
func (o *evalOptions) job() (j evaluate.TasksJob, err error) {
	if j.Spec, err = o.model.Resolve(); err != nil {
		return j, err
	}
	if j.Tasks, j.First, err = o.tasks.Resolve(); err != nil {
		return j, err
	}
	if len(j.Tasks) == 0 {
		return j, flags.Errorf("no task given; name one with --task NAME=FILE, such as --task piqa=piqa_valid.jsonl")
	}
	for _, f := range []struct {
		name            string
		value, min, max int
	}{
		{"hellaswag-tasks", o.hellaSwag, 0, 1 << 30},
		{"winogrande-tasks", o.winoGrande, 0, 1 << 30},
		{"multiple-choice-tasks", o.multipleChoice, 0, 1 << 30},
		{"ctx-size", o.context, 0, flags.MaxTokens},
		{"batch-size", o.batch, 1, flags.MaxTokens},
		{"ubatch-size", o.ubatch, 1, flags.MaxTokens},
	} {
		if f.value < f.min || f.value > f.max {
			return j, flags.Errorf("--%s is %d; give %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	if j.Mask, err = blockmask.Parse(o.mask); err != nil {
		return j, flags.Errorf("--mask: %v", err)
	}
	j.Draw = map[tasks.Convention]int{
		tasks.LlamaHellaSwag: o.hellaSwag, tasks.LlamaWinoGrande: o.winoGrande, tasks.LlamaMultipleChoice: o.multipleChoice,
	}
	j.Context, j.Batch, j.UBatch = o.context, o.batch, o.ubatch
	return j, nil
}
