// Package widthbench measures what FFN channels cost, and what a fit wins back; docs/BENCHMARKS.md has its figures.
package widthbench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/llamabind"
)

// parts are what can be measured.
var parts = map[string]func(context.Context, options) error{
	"uniform": uniform, "reference": reference, "prune": pruneJob, "blocks": blocksJob, "worse": worse, "layer": layer,
	"tasks": accuracy, "speed": speed,
}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == childFlag {
		return pass(ctx, args[1:])
	}
	o := options{given: map[string]bool{}, run: &run{judged: map[string]verdict{}}}
	fs := flag.NewFlagSet("bench width", flag.ContinueOnError)
	fs.StringVar(&o.parts, "parts", "uniform", "what to measure, separated by commas: uniform, reference, prune, blocks, worse, layer, tasks, speed")
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model; of the part worse several, separated by commas")
	fs.StringVar(&o.fitTexts, "fit", "", "texts to fit on, separated by commas (default: what prune takes by itself; of the part uniform "+uniformText+")")
	fs.StringVar(&o.judgeTexts, "judge", "internal/corpus/data/heldout.txt", "texts to judge on, separated by commas")
	fs.StringVar(&o.names, "names", "", "what figures call these, separated by commas (default: the files' names)")
	fs.StringVar(&o.label, "label", "", "what figures of the part prune have in front of that, such as default")
	fs.StringVar(&o.reference, "reference", "", "what scripts/width_reference.py wrote, for the part reference")
	fs.StringVar(&o.program, "program", "", "the ggufprune that the parts prune and blocks run (default: one that is built now)")
	fs.Float64Var(&o.ratio, "ratio", 0.2, "part of the parameters that prune removes")
	fs.StringVar(&o.ratios, "ratios", "0.2,0.33", "the same for the part worse, separated by commas")
	fs.IntVar(&o.seeds, "seeds", 3, "seeds of the part worse")
	fs.StringVar(&o.output, "o", "", "where the pruned file goes; that of the part blocks beside it (default: a temporary folder)")
	fs.StringVar(&o.pruned, "pruned", "", "a pruned file for the parts tasks and speed, of tasks several separated by commas (default: that of the part prune in the same run)")
	fs.StringVar(&o.plan, "plan", "", "the plan of -pruned, for what it predicts of its speed")
	fs.StringVar(&o.tasks, "tasks", "testdata/tasks", "folder with a file for each task, of the task's name")
	fs.IntVar(&o.limit, "limit", 0, "the first so many items of each task (default: all)")
	fs.IntVar(&o.chunks, "chunks", 0, "most samples that the search of the part blocks scores on (default: prune's)")
	fs.IntVar(&o.repeats, "repeats", 5, "repeats of the part speed")
	fs.IntVar(&o.width, "width", 0, "channels that every FFN keeps in the part uniform (default: two thirds)")
	fs.IntVar(&o.tokens, "tokens", 24576, "positions of the fit, a quarter of which choose (default of the parts prune and blocks: prune's)")
	fs.IntVar(&o.window, "c", 512, "tokens of a sequence; of the parts prune and blocks only where they judge")
	fs.IntVar(&o.judge, "windows", 60, "windows of each text to judge on")
	fs.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	fs.Uint64Var(&o.seed, "seed", 1, "which sequences the fit sees (default of the parts prune and blocks: prune's)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	fs.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	defer func() {
		if o.run.folder != "" {
			os.RemoveAll(o.run.folder)
		}
	}()
	for part := range strings.SplitSeq(o.parts, ",") {
		f, ok := parts[part]
		if !ok {
			return fmt.Errorf("no part %q", part)
		}
		fmt.Printf("# %s\n", part)
		if err := f(ctx, o); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}
