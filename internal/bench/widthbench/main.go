// Package widthbench measures what FFN channels cost, and what a fit wins back; docs/BENCHMARKS.md has its figures.
package widthbench

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/llamabind"
)

// options are what the command line says.
type options struct {
	parts, model, fitTexts, judgeTexts string
	reference                          string
	width, tokens, window              int
	judge, threads                     int
	seed                               uint64
}

// parts are what can be measured.
var parts = map[string]func(context.Context, options) error{"uniform": uniform, "reference": reference}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("bench width", flag.ContinueOnError)
	fs.StringVar(&o.parts, "parts", "uniform", "what to measure, separated by commas: uniform, reference")
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	fs.StringVar(&o.fitTexts, "fit", "testdata/simple.jsonl", "texts to fit on, separated by commas")
	fs.StringVar(&o.judgeTexts, "judge", "internal/corpus/data/heldout.txt", "texts to judge on, separated by commas")
	fs.StringVar(&o.reference, "reference", "", "what scripts/width_reference.py wrote, for the part reference")
	fs.IntVar(&o.width, "width", 0, "channels that every FFN keeps (default: two thirds)")
	fs.IntVar(&o.tokens, "tokens", 24576, "positions of the fit, a quarter of which choose")
	fs.IntVar(&o.window, "c", 512, "tokens of a sequence")
	fs.IntVar(&o.judge, "windows", 60, "windows of each text to judge on")
	fs.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	fs.Uint64Var(&o.seed, "seed", 1, "which sequences the fit sees")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for part := range strings.SplitSeq(o.parts, ",") {
		f, ok := parts[part]
		if !ok {
			return fmt.Errorf("no part %q", part)
		}
		if err := f(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
