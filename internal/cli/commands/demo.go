package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/cli/flags"
	"github.com/ggufprune/ggufprune/internal/cli/render"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// NewDemoCmd returns "ggufprune demo".
func NewDemoCmd(e engine.Runtime) *cobra.Command {
	o := demoOptions{engine: e}
	return Define(e, &cobra.Command{
		Use:   "demo [flags]",
		Short: "prune the small model that comes with the source",
		Long: `Removes a fifth of the small model that comes with the source (testdata/tiny-11m-Q8_0.gguf, trained for this project), re-fits
what stays, checks the result, and lets the original and the pruned model write a sentence each. Takes a minute or two.`,
		Example: `  ggufprune demo
  ggufprune demo --ratio 0.3 -o tiny-pruned.gguf
  ggufprune demo --blocks 3`,
	}, o.addFlags, o.run)
}

const (
	demoModel   = "tiny-11m-Q8_0.gguf"
	demoText    = "simple.jsonl" // beside the model: in the form that it was trained on
	demoSamples = 24             // enough for a sensible order, few enough for a demo
	demoRepair  = 16384          // tokens, likewise
	demoContext = 128
	demoTokens  = 48
	demoPrompt  = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
		"### Instruction:\nDescribe the sea.\n\n### Response:\n"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	engine               engine.Runtime
	path, output, prompt string
	ratio                float64
	blocks, threads      int
	force                bool
}

func (o *demoOptions) addFlags(fs *pflag.FlagSet) {
	flags.Section(fs, "Flags", func(fs *pflag.FlagSet) {
		fs.StringVarP(&o.path, "model", "m", "", "`FILE` another model")
		fs.Float64Var(&o.ratio, "ratio", 0.2, "`R` part of the parameters to remove")
		fs.IntVar(&o.blocks, "blocks", flags.Unset, "`N` whole blocks to remove instead, searched as in the paper")
		fs.StringVar(&o.prompt, "prompt", demoPrompt, "`TEXT` what the models continue (default: a task for the small model)")
		fs.StringVarP(&o.output, "output", "o", "", "`FILE` keep the pruned model here (default: it is deleted)")
		fs.BoolVar(&o.force, "force", false, "overwrite an existing file")
		fs.IntVarP(&o.threads, "threads", "t", flags.Unset, "`N` CPU threads (default: physical cores)")
	})
}

func (o *demoOptions) run(cmd *cobra.Command, _ []string, u *ui.UI) (err error) {
	switch {
	case o.blocks != flags.Unset && o.blocks < 1:
		return flags.Errorf("--blocks is %d; give 1 or more", o.blocks)
	case !(o.ratio > 0 && o.ratio < 1):
		return flags.Errorf("--ratio is %v; give a number between 0 and 1, such as 0.2", o.ratio)
	}
	if o.path == "" {
		if o.path, err = findDemoModel(); err != nil {
			return err
		}
	}
	m := flags.DefaultModel(o.engine)
	m.Path, m.Threads = o.path, o.threads
	r, err := m.Resolve()
	if err != nil {
		return err
	}
	kept := o.output != ""
	if !kept {
		dir, err := os.MkdirTemp("", "ggufprune-demo-*")
		if err != nil {
			return fmt.Errorf("demo: %w; name a writable place with -o", err)
		}
		defer os.RemoveAll(dir)
		o.output = filepath.Join(dir, "tiny-pruned.gguf")
	}
	ctx := cmd.Context()
	out, err := prune.Run(ctx, o.job(r), u)
	if err != nil {
		return err
	}
	render.Steps(u, out)
	render.Written(u, out)
	s := render.Sample{Prompt: o.prompt, Kept: kept}
	if s.Original, err = evaluate.Generate(ctx, r, r.Path, o.prompt, demoTokens); err != nil {
		return err
	}
	if s.Pruned, err = evaluate.Generate(ctx, r, o.output, o.prompt, demoTokens); err != nil {
		return err
	}
	return render.Demo(u, out, s)
}

// job is what prune does by default, on less text; or a short search with the paper's settings.
func (o *demoOptions) job(spec source.Spec) prune.Job {
	text := filepath.Join(filepath.Dir(o.path), demoText)
	if _, err := os.Stat(text); err != nil {
		text = "" // another model: the text that comes with the program
	}
	var j prune.Job
	j.Common = prune.Common{
		Spec: spec, Layout: layout.Auto, Tool: version.Tool(), Force: o.force,
		Text:   corpus.Text{File: text, Convention: perplexity.Samples, Context: demoContext, Batch: flags.DefaultUBatch, Max: demoSamples},
		Repair: repair.Options{Method: fit.Auto, Tokens: demoRepair, Usual: true},
	}
	j.Method, j.Unit, j.Goal, j.Output = find.Method{Strategy: "greedy"}, blockmask.Auto, search.Goal{Ratio: o.ratio}, o.output
	if o.blocks != flags.Unset {
		j.Unit, j.Goal = blockmask.Mix, search.Goal{Blocks: o.blocks}
	}
	return j
}

// findDemoModel looks for the model in the source tree: from the current folder and from the program's own.
func findDemoModel() (string, error) {
	var places []string
	if dir, err := os.Getwd(); err == nil {
		places = append(places, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if exe, err = filepath.EvalSymlinks(exe); err == nil {
			places = append(places, filepath.Dir(exe), filepath.Dir(filepath.Dir(exe)))
		}
	}
	for _, p := range places {
		path := filepath.Join(p, "testdata", demoModel)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("testdata/" + demoModel + " is neither in this folder nor beside the program; run the demo in the source tree, or name a model with -m")
}
