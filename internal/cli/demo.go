package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

const demoUsage = `Usage: ggufprune demo [flags]

Prunes and repairs the small model that comes with the source (testdata/tiny-11m-Q8_0.gguf, trained for this project), checks
the result, and lets the original and the pruned model write a sentence each. Takes a minute or two.

Examples:
  ggufprune demo
  ggufprune demo --blocks 3 -o tiny-pruned.gguf

Flags:
  -m, --model FILE         another model
      --blocks N           blocks to remove (default: 6)
      --prompt TEXT        what the models continue
  -o, --output FILE        keep the pruned model here (default: it is deleted)
      --force              overwrite an existing file
  -t, --threads N          CPU threads (default: physical cores)
` + commonUsage

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

// demoCommand is "ggufprune demo".
type demoCommand struct {
	path, output, prompt string
	blocks, threads      int
	force                bool
}

func (c *demoCommand) usage() string { return demoUsage }

func (c *demoCommand) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&c.path, "model", "m", "", "")
	fs.StringVarP(&c.output, "output", "o", "", "")
	fs.StringVar(&c.prompt, "prompt", demoPrompt, "")
	fs.IntVar(&c.blocks, "blocks", 6, "")
	fs.IntVarP(&c.threads, "threads", "t", unset, "")
	fs.BoolVar(&c.force, "force", false, "")
}

func (c *demoCommand) run(ctx context.Context, _ *pflag.FlagSet, u *ui.UI) (err error) {
	if c.blocks < 1 {
		return usagef("--blocks is %d; give 1 or more", c.blocks)
	}
	if c.path == "" {
		if c.path, err = findDemoModel(); err != nil {
			return err
		}
	}
	m := modelFlags{path: c.path, ngl: "auto", splitMode: "layer", flashAttn: "auto", threads: c.threads}
	r, err := m.runtime()
	if err != nil {
		return err
	}
	kept := c.output != ""
	if !kept {
		dir, err := os.MkdirTemp("", "ggufprune-demo-*")
		if err != nil {
			return fmt.Errorf("demo: %w; name a writable place with -o", err)
		}
		defer os.RemoveAll(dir)
		c.output = filepath.Join(dir, "tiny-pruned.gguf")
	}
	out, err := pipeline.Prune(ctx, c.job(r), reporter{u})
	if err != nil {
		return err
	}
	printSteps(u, out)
	printWrite(u, out)
	return c.generate(ctx, u, r, out, kept)
}

// job is a short search with the paper's settings, and a short repair.
func (c *demoCommand) job(r pipeline.Runtime) pipeline.Job {
	text := filepath.Join(filepath.Dir(c.path), demoText)
	if _, err := os.Stat(text); err != nil {
		text = "" // another model: the text that comes with the program
	}
	return pipeline.Job{
		Method:  pipeline.Method{Strategy: "greedy"},
		Repair:  pipeline.Repair{Method: fit.Auto, Tokens: demoRepair, Usual: true},
		Runtime: r, Unit: blockmask.Mix, Goal: search.Goal{Blocks: c.blocks}, Layout: layout.Auto, Tool: Version(),
		Text:   pipeline.Text{File: text, Convention: perplexity.Samples, Context: demoContext, Batch: defaultUBatch, Max: demoSamples},
		Output: c.output, Force: c.force,
	}
}

// generate lets both models continue the prompt.
func (c *demoCommand) generate(ctx context.Context, u *ui.UI, r pipeline.Runtime, out *pipeline.Outcome, kept bool) error {
	j := demoJSON{Result: newResultJSON("demo", out, ""), Prompt: c.prompt, KeptFiles: kept}
	var err error
	if j.Original, err = pipeline.Generate(ctx, r, r.Path, c.prompt, demoTokens); err != nil {
		return err
	}
	if j.Pruned, err = pipeline.Generate(ctx, r, c.output, c.prompt, demoTokens); err != nil {
		return err
	}
	u.Resultf("")
	u.Resultf("prompt    %s", oneLine(c.prompt))
	u.Resultf("original  %s", firstSentence(j.Original))
	u.Resultf("pruned    %s", firstSentence(j.Pruned))
	if !kept {
		u.Notef("the pruned model was deleted; keep it with: ggufprune demo -o tiny-pruned.gguf")
	}
	return u.JSON(j)
}

// firstSentence returns s up to the end of its first sentence, or all of it.
func firstSentence(s string) string {
	s = oneLine(s)
	for i, c := range s {
		if strings.ContainsRune(".!?", c) && (i+1 == len(s) || s[i+1] == ' ') {
			return s[:i+1]
		}
	}
	return s
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

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
