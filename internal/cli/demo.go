package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

const demoUsage = `Usage: ggufprune demo [-o FILE] [flags]

Prunes the small model that comes with the source (11 million parameters, trained for this project) by a fifth, checks the
result, and lets both models write a sentence. Takes about a minute.

Examples:
  ggufprune demo
  ggufprune demo -o small.gguf

  -o, --output FILE        keep the pruned model here (default: it is removed again)
  -t, --threads N          CPU threads (default: physical cores)
` + commonUsage

// The demo's files, in the source's folder or beside the program.
const (
	demoModel = "tiny-11m-Q8_0.gguf"
	demoText  = "simple.jsonl"
)

// What both models continue, in the form that the small one was trained on.
const demoPrompt = "### Instruction:\nDescribe a walk in the forest.\n\n### Response:\n"

const demoTokens = 40

// demoCommand is "ggufprune demo".
type demoCommand struct {
	output  string
	threads int
}

func (*demoCommand) usage() string { return demoUsage }

func (c *demoCommand) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&c.output, "output", "o", "", "")
	fs.IntVarP(&c.threads, "threads", "t", llamabind.PhysicalCores(), "")
}

func (c *demoCommand) run(ctx context.Context, _ *pflag.FlagSet, u *ui.UI) error {
	dir, err := demoFolder()
	if err != nil {
		return err
	}
	if c.threads < 1 {
		return usagef("--threads is %d; give 1 or more", c.threads)
	}
	output := c.output
	if output == "" {
		tmp, err := os.MkdirTemp("", "ggufprune-demo-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		output = filepath.Join(tmp, "demo.gguf")
	}
	j := pipeline.Job{
		Runtime: pipeline.Runtime{Path: filepath.Join(dir, demoModel), Threads: c.threads, FlashAttn: "auto", Model: llamabind.ModelParams{NGPULayers: -1}},
		Text:    pipeline.Text{File: filepath.Join(dir, demoText), Convention: perplexity.Samples, Context: 256, Batch: 512, Max: 32},
		Unit:    blockmask.Mix, Goal: search.Goal{Ratio: 0.2}, Layout: layout.Auto, Tool: Version(), Output: output,
	}
	out, err := pipeline.Prune(ctx, j, reporter{u})
	if err != nil {
		return err
	}
	res := demoJSON{outcomeJSON: newOutcomeJSON("demo", out, ""), Prompt: demoPrompt}
	if res.Original, err = sentence(ctx, j.Runtime, j.Runtime.Path); err != nil {
		return err
	}
	if res.Pruned, err = sentence(ctx, j.Runtime, output); err != nil {
		return err
	}
	printSteps(u, out)
	printWritten(u, out)
	u.Resultf("\nasked    %s", "Describe a walk in the forest.")
	u.Resultf("original %s", res.Original)
	u.Resultf("pruned   %s", res.Pruned)
	if c.output == "" {
		u.Resultf("\nThe pruned model was removed again; keep it with: ggufprune demo -o small.gguf")
	}
	return u.JSON(res)
}

// demoFolder finds the demo's files.
func demoFolder() (string, error) {
	dirs := []string{"testdata"}
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Join(filepath.Dir(exe), "testdata"))
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, demoModel)); err == nil {
			return d, nil
		}
	}
	return "", fmt.Errorf("the demo's model testdata/%s is not here; run the demo in the folder of the source", demoModel)
}

// sentence lets the model at path continue the demo's prompt, and cuts what it writes after its last whole sentence.
func sentence(ctx context.Context, r pipeline.Runtime, path string) (string, error) {
	m, err := llamabind.LoadModel(ctx, path, r.Model)
	if err != nil {
		return "", err
	}
	defer m.Close()
	text, err := m.Generate(ctx, demoPrompt, demoTokens, r.Threads)
	if err != nil {
		return "", err
	}
	text = strings.Join(strings.Fields(text), " ")
	if end := strings.IndexAny(text, ".!?"); end >= 0 {
		text = text[:end+1]
	}
	return text, nil
}
