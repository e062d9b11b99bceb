package cli

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// defaultPredict is how many tokens of an answer Ollama is asked for.
const defaultPredict = 64

// runOllama asks two models of a running Ollama the same.
func (c *compareCommand) runOllama(ctx context.Context, fs *pflag.FlagSet, u *ui.UI) error {
	for f := range ollamaOnly(fs) {
		return usagef("--%s does not go with --ollama, where the models run in Ollama", f)
	}
	if fs.NArg() != 2 {
		return usagef("compare --ollama takes the names of two models; give ggufprune compare --ollama llama3.2:3b llama3.2:pruned")
	}
	opt := ollama.CompareOptions{Prompts: ollama.Prompts, Predict: defaultPredict}
	if fs.Changed("n-gen") {
		opt.Predict = c.generate
	}
	if opt.Predict < 1 || opt.Predict > 1<<16 {
		return usagef("--n-gen is %d; give a number of tokens from 1 to 65536", opt.Predict)
	}
	var names [2]string
	for i, name := range fs.Args() {
		var err error
		if names[i], err = ollama.CheckName(strings.TrimPrefix(name, "ollama:")); err != nil {
			return usagef("compare --ollama: %v", err)
		}
	}
	if c.prompts != "" {
		var err error
		if opt.Prompts, err = readPrompts(c.prompts); err != nil {
			return err
		}
	}
	cmp, err := pipeline.CompareOllama(ctx, names[0], names[1], opt, reporter{u})
	if err != nil {
		return err
	}
	printOllama(u, cmp)
	return u.JSON(newOllamaJSON(cmp))
}

// ollamaOnly yields the flags that were given and that say how models run here.
func ollamaOnly(fs *pflag.FlagSet) iter.Seq[string] {
	with := []string{"ollama", "prompts", "n-gen", "json", "quiet", "verbose", "progress"}
	return func(yield func(string) bool) {
		more := true
		fs.Visit(func(f *pflag.Flag) {
			if more && !slices.Contains(with, f.Name) {
				more = yield(f.Name)
			}
		})
	}
}

// readPrompts reads one prompt a line; empty lines are none.
func readPrompts(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("prompts: %w; name a text file with --prompts", err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("prompts: %s has none; write one a line", path)
	}
	return out, nil
}

// printOllama prints both models side by side, and then their answers.
func printOllama(u *ui.UI, c *ollama.Comparison) {
	a, b := c.Original, c.Pruned
	row := func(what string, f func(ollama.Side) string, ratio float64) []any {
		r := ""
		if finite(ratio) && ratio > 0 {
			r = fmt.Sprintf("x%.2f", ratio)
		}
		return []any{what, f(a), f(b), r}
	}
	rate := func(r ollama.Rate) string { return fmt.Sprintf("%.1f ± %.1f", r.Mean, r.StdDev) }
	u.Table("Ollama "+c.Version, []ui.Column{{Head: ""}, {Head: a.Name, Number: true}, {Head: b.Name, Number: true}, {Head: "ratio", Number: true}}, [][]any{
		row("generation, tokens/s", func(s ollama.Side) string { return rate(s.Gen) }, b.Gen.Mean/a.Gen.Mean),
		row("prompt, tokens/s", func(s ollama.Side) string { return rate(s.Prompt) }, b.Prompt.Mean/a.Prompt.Mean),
		row("load time", func(s ollama.Side) string { return fmt.Sprintf("%.2f s", s.Load.Seconds()) }, b.Load.Seconds()/a.Load.Seconds()),
		row("memory", func(s ollama.Side) string { return formatSize(s.Memory) }, float64(b.Memory)/float64(a.Memory)),
		row("of it on GPUs", func(s ollama.Side) string { return formatSize(s.VRAM) }, float64(b.VRAM)/float64(a.VRAM)),
		row("context, tokens", func(s ollama.Side) string { return fmt.Sprint(s.Context) }, 0),
	})
	var rows [][]any
	for _, p := range c.Pairs {
		same, mean, largest := fmt.Sprintf("%d characters", p.EqualChars), "", ""
		if c.Logprobs {
			same = fmt.Sprintf("%d of %d tokens", p.EqualTokens, len(p.Original.Tokens))
		}
		if p.EqualTokens > 0 {
			mean, largest = fmt.Sprintf("%.4f", p.Mean), fmt.Sprintf("%.4f", p.Max)
		}
		if p.Same {
			same = "all"
		}
		rows = append(rows, []any{p.Mode, clip(p.Prompt, 32), same, mean, largest})
	}
	u.Resultf("")
	u.Table("How far the answers are the same, and the differences of log-probabilities (nats) so far", []ui.Column{
		{Head: "mode"}, {Head: "prompt"}, {Head: "the same", Number: true}, {Head: "mean", Number: true}, {Head: "largest", Number: true},
	}, rows)
	for _, p := range c.Pairs {
		u.Resultf("")
		u.Resultf("%-9s %s", p.Mode, oneLine(p.Prompt))
		u.Resultf("original  %s", oneLine(p.Original.Text))
		u.Resultf("pruned    %s", oneLine(p.Pruned.Text))
	}
}

// clip returns s in one line of at most n characters.
func clip(s string, n int) string {
	if r := []rune(oneLine(s)); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return oneLine(s)
}
