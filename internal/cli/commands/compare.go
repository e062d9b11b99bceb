package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

const compareUsage = `Usage: ggufprune compare BASE OTHER ... [flags]
       ggufprune compare --ollama NAME NAME [flags]

Prints how models differ from the first one, on a text that a search by default has not seen: perplexity, KL divergence of
their predictions over the whole vocabulary, the likeliest token, size, memory for context, and measured speed. The
statistics are those of llama-perplexity --kl-divergence, digit by digit for the same text, -c, -b and -ub; the speeds those
of llama-bench, with the repeats of two models taking turns. With --ollama it asks two models of a running Ollama the same
prompts, as raw text and as a chat, by the most likely tokens, and prints speeds, memory, and where the answers part.

Examples:
  ggufprune compare model-Q8_0.gguf pruned-Q8_0.gguf
  ggufprune compare model-F16.gguf pruned-F16.gguf -f wiki.test.raw --chunks 40 --rival-quant auto
  ggufprune compare --ollama llama3.2:3b llama3.2:pruned -n 128

What to compare:
      --rival-quant TYPE   also the first model quantised to this type: auto, the largest that is no larger than the second
                           model's file, off, or one of llama-quantize's such as Q4_K_M (default: off)
      --base-logits FILE   compare with what llama-perplexity --kl-divergence-base saved here, on its text
      --save-base-logits FILE  keep what the first model predicts in that form
      --force              overwrite an existing file

In Ollama:
      --ollama             the models are Ollama's, and run there
      --prompts FILE       one prompt a line (default: six of the program's); of an answer -n tokens (default: 64)

Speed, as in llama-bench:
  -p, --n-prompt N         tokens of a prompt (default: 512)
  -n, --n-gen N            tokens to generate (default: 128)
  -r, --repetitions N      of each (default: 5)
      --no-speed           measure none
` + textUsage + modelUsage + commonUsage

// compareCommand is "ggufprune compare".
type compareCommand struct {
	model                   modelFlags
	text                    textFlags
	rival, base, save       string
	prompt, generate, times int
	noSpeed, force          bool
	ollama                  bool
	prompts                 string
}

const (
	defaultPrompt   = 512
	defaultGenerate = 128
	defaultRepeats  = 5
	mostRepeats     = 1000
)

func (c *compareCommand) usage() string { return compareUsage }

// arguments says that the models may be given without -m.
func (*compareCommand) arguments() {}

func (c *compareCommand) flags(fs *pflag.FlagSet) {
	c.model.add(fs)
	c.text.add(fs, perplexity.Windows)
	fs.StringVar(&c.rival, "rival-quant", pipeline.RivalOff, "")
	fs.StringVar(&c.base, "base-logits", "", "")
	fs.StringVar(&c.save, "save-base-logits", "", "")
	fs.BoolVar(&c.force, "force", false, "")
	fs.IntVarP(&c.prompt, "n-prompt", "p", defaultPrompt, "")
	fs.IntVarP(&c.generate, "n-gen", "n", defaultGenerate, "")
	fs.IntVarP(&c.times, "repetitions", "r", defaultRepeats, "")
	fs.BoolVar(&c.noSpeed, "no-speed", false, "")
	fs.BoolVar(&c.ollama, "ollama", false, "")
	fs.StringVar(&c.prompts, "prompts", "", "")
}

func (c *compareCommand) run(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	if c.ollama {
		return c.runOllama(ctx, fs, u)
	}
	j, err := c.job(fs)
	if err != nil {
		return err
	}
	out, err := pipeline.Compare(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	printComparison(u, out)
	return u.JSON(compareJSON{Command: "compare", Comparison: newComparisonJSON(out)})
}

// job checks the flags.
func (c *compareCommand) job(fs *pflag.FlagSet) (j pipeline.CompareJob, err error) {
	paths := fs.Args()
	if c.model.path != "" {
		paths = append([]string{c.model.path}, paths...)
	}
	switch {
	case len(paths) == 0, len(paths) == 1 && c.base == "":
		return j, usagef("compare needs two models at least; give ggufprune compare base.gguf other.gguf")
	case c.base != "" && c.save != "":
		return j, usagef("--base-logits and --save-base-logits exclude each other; give one of them")
	case len(paths) == 1 && c.rival != pipeline.RivalOff:
		return j, usagef("--rival-quant needs a model to rival; give ggufprune compare base.gguf other.gguf")
	}
	for _, name := range []string{"file", "ctx-size", "chunks"} {
		if c.base != "" && fs.Changed(name) {
			return j, usagef("--%s and --base-logits exclude each other: the file has its own windows of text", name)
		}
	}
	if c.prompts != "" {
		return j, usagef("--prompts goes with --ollama")
	}
	models := make([]pipeline.Contender, len(paths))
	for i, name := range paths {
		m := c.model
		m.path = name
		if j.Runtime, err = m.runtime(); err != nil {
			return j, err
		}
		models[i] = pipeline.Contender{Label: name, Path: j.Runtime.Path}
		j.Runtime.Path, j.Runtime.Ref = "", nil // of one model only
	}
	if j.Text, err = c.text.windows(fs); err != nil {
		return j, err
	}
	if j.Text.Convention != perplexity.Windows {
		return j, usagef("--convention is %q; compare measures windows, as llama-perplexity does", j.Text.Convention)
	}
	if j.Rival, err = pipeline.ParseRival(c.rival); err != nil {
		return j, usagef("--rival-quant: %v", err)
	}
	j.Models, j.UBatch = contenders(models), c.text.ubatch
	j.BaseLogits, j.SaveBase, j.Force = c.base, c.save, c.force
	j.Speed, err = c.speed()
	return j, err
}

// speed checks what is to be measured of it.
func (c *compareCommand) speed() (*pipeline.SpeedTest, error) {
	for _, f := range []struct {
		name        string
		value, most int
	}{{"n-prompt", c.prompt, maxTokens}, {"n-gen", c.generate, maxTokens}, {"repetitions", c.times, mostRepeats}} {
		if f.value < 1 || f.value > f.most {
			return nil, usagef("--%s is %d; give 1 to %d, or --no-speed", f.name, f.value, f.most)
		}
	}
	if c.noSpeed {
		return nil, nil
	}
	return &pipeline.SpeedTest{Prompt: c.prompt, Generate: c.generate, Repeats: c.times}, nil
}

// contenders shortens the labels of models that are files, where these have different names.
func contenders(models []pipeline.Contender) []pipeline.Contender {
	count := map[string]int{}
	for _, m := range models {
		count[filepath.Base(m.Path)]++
	}
	for i, m := range models {
		if base := filepath.Base(m.Path); m.Label == m.Path && count[base] == 1 {
			models[i].Label = base
		}
	}
	return models
}
