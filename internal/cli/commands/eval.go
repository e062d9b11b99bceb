package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/internal/ui"
)

const evalUsage = `Usage: ggufprune eval -m FILE --task NAME=FILE [--task NAME=FILE ...] [--mask MASK] [flags]

Prints a model's accuracy on multiple-choice tasks, zero-shot. The files are yours; their form is seen from what they hold:

  JSON                     JSON lines, an array, or the Hugging Face datasets server's rows, with the fields of the
                           published data set. Prompts and accuracy are lm-evaluation-harness's: acc by log-likelihood,
                           acc_norm by log-likelihood for each character.
  llama.cpp's forms        HellaSwag as text, WinoGrande as CSV, any task in the binary multiple-choice form. acc_norm is by
                           log-likelihood for each token, as llama-perplexity prints it for the same file (given as
                           -f to --hellaswag, as -bf to --winogrande and --multiple-choice).

With a mask, it is the accuracy of the model with those blocks left out.

Examples:
  ggufprune eval -m model.gguf --task piqa=piqa_valid.jsonl --task arc-easy=arc_easy_test.jsonl
  ggufprune eval -m model.gguf --task hellaswag=hellaswag_val_full.txt --hellaswag-tasks 400 --mask attn:3,ffn:7-9

Tasks:
      --task NAME=FILE     a task; NAME is hellaswag, winogrande, piqa, arc-easy or arc-challenge; with a binary
                           multiple-choice file any name
      --limit N            only the first N items of each file
      --hellaswag-tasks N, --winogrande-tasks N, --multiple-choice-tasks N
                           only N items of each file in that form of llama.cpp's, those that llama-perplexity draws
                           (default: all; llama-perplexity takes 400 of HellaSwag)

What to leave out:
      --mask MASK          these blocks: attn:3,ffn:7-9

Batches:
  -c, --ctx-size N         most tokens of a question with its answer; longer ones lose their beginning (default: the model's)
  -b, --batch-size N       most tokens of a batch (default: 2048)
  -ub, --ubatch-size N     most tokens of one graph (default: 512)
` + modelUsage + commonUsage

// evalCommand is "ggufprune eval".
type evalCommand struct {
	model                                 modelFlags
	tasks                                 []string
	hellaSwag, winoGrande, multipleChoice int
	limit, context, batch, ubatch         int
	mask                                  string
}

func (c *evalCommand) usage() string { return evalUsage }

func (c *evalCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	fs.StringArrayVar(&c.tasks, "task", nil, "")
	fs.IntVar(&c.limit, "limit", 0, "")
	fs.IntVar(&c.hellaSwag, "hellaswag-tasks", 0, "")
	fs.IntVar(&c.winoGrande, "winogrande-tasks", 0, "")
	fs.IntVar(&c.multipleChoice, "multiple-choice-tasks", 0, "")
	fs.StringVar(&c.mask, "mask", "", "")
	fs.IntVarP(&c.context, "ctx-size", "c", 0, "")
	fs.IntVarP(&c.batch, "batch-size", "b", defaultBatch, "")
	fs.IntVar(&c.ubatch, "ubatch-size", defaultUBatch, "")
}

func (c *evalCommand) run(ctx context.Context, _ *pflag.FlagSet, u *ui.UI) error {
	j, err := c.job()
	if err != nil {
		return err
	}
	out, err := pipeline.Eval(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	printEval(u, out)
	return u.JSON(newEvalJSON(out, j.Mask))
}

// job checks the flags.
func (c *evalCommand) job() (j pipeline.EvalJob, err error) {
	if j.Runtime, err = c.model.runtime(); err != nil {
		return j, err
	}
	if j.Tasks, err = parseTasks(c.tasks); err != nil {
		return j, err
	}
	for _, f := range []struct {
		name            string
		value, min, max int
	}{
		{"limit", c.limit, 0, 1 << 30},
		{"hellaswag-tasks", c.hellaSwag, 0, 1 << 30},
		{"winogrande-tasks", c.winoGrande, 0, 1 << 30},
		{"multiple-choice-tasks", c.multipleChoice, 0, 1 << 30},
		{"ctx-size", c.context, 0, maxTokens},
		{"batch-size", c.batch, 1, maxTokens},
		{"ubatch-size", c.ubatch, 1, maxTokens},
	} {
		if f.value < f.min || f.value > f.max {
			return j, usagef("--%s is %d; give %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	if j.Mask, err = blockmask.Parse(c.mask); err != nil {
		return j, usagef("--mask: %v", err)
	}
	j.Draw = map[tasks.Convention]int{
		tasks.LlamaHellaSwag: c.hellaSwag, tasks.LlamaWinoGrande: c.winoGrande, tasks.LlamaMultipleChoice: c.multipleChoice,
	}
	j.First, j.Context, j.Batch, j.UBatch = c.limit, c.context, c.batch, c.ubatch
	return j, nil
}

// parseTasks reads the values of --task.
func parseTasks(values []string) ([]pipeline.TaskFile, error) {
	if len(values) == 0 {
		return nil, usagef("no task given; name one with --task NAME=FILE, such as --task piqa=piqa_valid.jsonl")
	}
	var out []pipeline.TaskFile
	for _, v := range values {
		name, path, ok := strings.Cut(v, "=")
		if !ok || name == "" || path == "" {
			return nil, usagef("--task is %q; give NAME=FILE, such as piqa=piqa_valid.jsonl", v)
		}
		out = append(out, pipeline.TaskFile{Name: name, Path: path})
	}
	return out, nil
}

// printEval prints the table, and what is to be known of its numbers.
func printEval(u *ui.UI, out *pipeline.EvalOutcome) {
	percent := func(p float64) string { return fmt.Sprintf("%.2f%%", 100*p) }
	interval := func(i tasks.Interval) string { return fmt.Sprintf("%.2f-%.2f", 100*i.Low, 100*i.High) }
	var rows [][]any
	for _, r := range out.Results {
		norm, span := "", ""
		if r.Task.Norm != tasks.NoNorm {
			norm, span = percent(r.Norm), interval(r.NormSpan)
		}
		rows = append(rows, []any{
			r.Task.Name, len(r.Answers), percent(r.Accuracy), interval(r.Interval), norm, span, percent(r.Task.Chance()), r.Task.Convention,
		})
	}
	if len(out.Results) > 1 {
		m := newMeans(out.Results)
		rows = append(rows, []any{
			"mean", "", percent(m.acc), interval(m.interval), percent(m.headline), interval(m.headlineInterval), percent(m.chance), "",
		})
	}
	u.Table("", []ui.Column{
		{Head: "task"},
		{Head: "items", Number: true},
		{Head: "acc", Number: true},
		{Head: "95%", Number: true},
		{Head: "acc_norm", Number: true},
		{Head: "95%", Number: true},
		{Head: "chance", Number: true},
		{Head: "as"},
	}, rows)
	for i, r := range out.Results {
		if r.Truncated > 0 {
			u.Warnf("%s: %d of %d items are longer than the context of %d tokens and lost their beginning", out.Files[i], r.Truncated, len(r.Answers), out.Context)
		}
		if r.Task.Skipped > 0 {
			u.Notef("%s: %d lines hold no item and were left out", out.Files[i], r.Task.Skipped)
		}
	}
}

// means are over the tasks.
type means struct {
	acc, headline, chance      float64
	interval, headlineInterval tasks.Interval
}

func newMeans(results []*tasks.Result) means {
	var m means
	var acc, headline []float64
	var accSpans, headlineSpans []tasks.Interval
	for _, r := range results {
		p, i := r.Headline()
		acc, accSpans = append(acc, r.Accuracy), append(accSpans, r.Interval)
		headline, headlineSpans = append(headline, p), append(headlineSpans, i)
		m.chance += r.Task.Chance() / float64(len(results))
	}
	m.acc, m.interval = tasks.Mean(acc, accSpans)
	m.headline, m.headlineInterval = tasks.Mean(headline, headlineSpans)
	return m
}
