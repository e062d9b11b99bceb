package commands

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/ollama"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/perplexity"
)

// NewCompareCmd returns "ggufprune compare".
func NewCompareCmd(e engine.Runtime) *cobra.Command {
	o := compareOptions{text: flags.Text{Convention: perplexity.Windows, Exact: true}, model: flags.Model{Engine: e}}
	return Define(e, &cobra.Command{
		Use: `compare BASE OTHER ... [flags]
compare --ollama NAME NAME [flags]`,
		Short: "models side by side: quality, size and speed; two models in a running Ollama",
		Long: `Prints how models differ from the first one, on a text that a search by default has not seen: perplexity, KL divergence of
their predictions over the whole vocabulary, the likeliest token, size, memory for context, and measured speed. The
statistics are those of llama-perplexity --kl-divergence, digit by digit for the same text, -c, -b and -ub; the speeds those
of llama-bench, with the repeats of two models taking turns. With --ollama it asks two models of a running Ollama the same
prompts, as raw text and as a chat, by the most likely tokens, and prints speeds, memory, and where the answers part.`,
		Example: `  ggufprune compare model-Q8_0.gguf pruned-Q8_0.gguf
  ggufprune compare model-F16.gguf pruned-F16.gguf -f wiki.test.raw --chunks 40 --rival-quant auto
  ggufprune compare model-Q4_K_M.gguf pruned.gguf --rival ollama:llama3.2:3b-instruct-q3_K_M
  ggufprune compare --ollama llama3.2:3b llama3.2:pruned -n 128`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: flags.CompleteModels,
	}, o.addFlags, o.run)
}

// compareOptions are the flags of compare.
type compareOptions struct {
	speed      flags.Speed
	text       flags.Text
	model      flags.Model
	rival      flags.Rival
	base, save string
	force      bool
	ollama     bool
	prompts    string
}

func (o *compareOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "What to compare", func(fs *pflag.FlagSet) {
		o.rival.AddFlags(fs, compare.RivalOff, "also one no larger than the second model's file: auto, made of a first model of 8 bits or more, else the "+
			"largest that is on this machine, else requantised; or made in one of llama-quantize's types such as Q4_K_M; off")
		fs.StringVar(&o.base, "base-logits", "", "`FILE` compare with what llama-perplexity --kl-divergence-base saved here, on its text")
		fs.StringVar(&o.save, "save-base-logits", "", "`FILE` keep what the first model predicts in that form")
		fs.BoolVar(&o.force, "force", false, "overwrite an existing file")
	})
	flags.Section(fs, "In Ollama", func(fs *pflag.FlagSet) {
		fs.BoolVar(&o.ollama, "ollama", false, "the models are Ollama's, and run there")
		fs.StringVar(&o.prompts, "prompts", "", "`FILE` one prompt a line (default: six of the program's); of an answer -n tokens (default: 64)")
	})
	o.speed.AddFlags(fs)
	o.text.AddFlags(fs)
	o.model.AddFlags(fs)
}

func (o *compareOptions) run(cmd *cobra.Command, args []string, u *ui.UI) error {
	if o.ollama {
		return o.runOllama(cmd, args, u)
	}
	j, err := o.job(cmd.Flags())
	if err != nil {
		return err
	}
	out, err := compare.Run(cmd.Context(), j, u)
	if err != nil {
		return err
	}
	return render.Comparison(u, out)
}

// job checks the flags.
func (o *compareOptions) job(fs *pflag.FlagSet) (j compare.Job, err error) {
	paths := fs.Args()
	if o.model.Path != "" {
		paths = append([]string{o.model.Path}, paths...)
	}
	switch {
	case len(paths) == 0, len(paths) == 1 && o.base == "":
		return j, flags.Errorf("compare needs two models at least; give ggufprune compare base.gguf other.gguf")
	case o.base != "" && o.save != "":
		return j, flags.Errorf("--base-logits and --save-base-logits exclude each other; give one of them")
	case len(paths) == 1 && o.rival.Asked() != "":
		return j, flags.Errorf("--%s needs a model to rival; give ggufprune compare base.gguf other.gguf", o.rival.Asked())
	}
	for _, name := range []string{"file", "ctx-size", "chunks"} {
		if o.base != "" && fs.Changed(name) {
			return j, flags.Errorf("--%s and --base-logits exclude each other: the file has its own windows of text", name)
		}
	}
	if o.prompts != "" {
		return j, flags.Errorf("--prompts goes with --ollama")
	}
	models := make([]compare.Contender, len(paths))
	for i, name := range paths {
		m := o.model
		m.Path = name
		if j.Spec, err = m.Resolve(); err != nil {
			return j, err
		}
		models[i] = compare.Contender{Label: name, Path: j.Spec.Path}
		j.Spec.Path, j.Spec.Ref = "", nil // of one model only
	}
	if j.Text, err = o.text.Resolve(); err != nil {
		return j, err
	}
	if j.Text.Convention != perplexity.Windows {
		return j, flags.Errorf("--convention is %q; compare measures windows, as llama-perplexity does", j.Text.Convention)
	}
	if err = o.rival.Resolve(&j); err != nil {
		return j, err
	}
	j.Models, j.UBatch = contenders(models), o.text.UBatch
	j.BaseLogits, j.SaveBase, j.Force = o.base, o.save, o.force
	j.Speed, err = o.speed.Resolve()
	return j, err
}

// contenders shortens the labels of models that are files, where these have different names.
func contenders(models []compare.Contender) []compare.Contender {
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
	out, err := compare.Ollama(cmd.Context(), names[0], names[1], opt, u)
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
