package commands

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// defaultPredict is how many tokens of an answer Ollama is asked for.
const defaultPredict = 64

// runOllama asks two models of a running Ollama the same.
func (o *compareOptions) runOllama(cmd *cobra.Command, args []string, u *ui.UI) error {
	for f := range localFlags(cmd.Flags()) {
		return flags.Errorf("--%s does not go with --ollama, where the models run in Ollama", f)
	}
	if len(args) != 2 {
		return flags.Errorf("compare --ollama takes the names of two models; give ggufprune compare --ollama llama3.2:3b llama3.2:pruned")
	}
	opt := ollama.CompareOptions{Prompts: ollama.Prompts, Predict: defaultPredict}
	if cmd.Flags().Changed("n-gen") {
		opt.Predict = o.speed.Generate
	}
	if opt.Predict < 1 || opt.Predict > 1<<16 {
		return flags.Errorf("--n-gen is %d; give a number of tokens from 1 to 65536", opt.Predict)
	}
	var names [2]string
	for i, name := range args {
		var err error
		if names[i], err = ollama.CheckName(strings.TrimPrefix(name, "ollama:")); err != nil {
			return flags.Errorf("compare --ollama: %v", err)
		}
	}
	if o.prompts != "" {
		var err error
		if opt.Prompts, err = readPrompts(o.prompts); err != nil {
			return err
		}
	}
	out, err := pipeline.CompareOllama(cmd.Context(), names[0], names[1], opt, reporter{u})
	if err != nil {
		return err
	}
	return render.Ollama(u, out)
}

// localFlags yields the flags that were given and that say how models run here.
func localFlags(fs *pflag.FlagSet) iter.Seq[string] {
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
