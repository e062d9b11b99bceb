// Package searchbench measures what docs/BENCHMARKS.md says of the search: what strategies cost, what they find, and how they end
// when they are killed.
//
//	go run ./internal/bench search [-model M.gguf] [-calib FILE] [-heldout FILE] [-seeds N] [-parts LIST]
//
// The parts are decisions (greedy and fast over several calibration samples), orders (fast in several orders of their sequences),
// refine (the same samples), strategies (all of them in one table), metrics (perplexity against KL divergence), exhaustive (the best 4
// of all blocks), scaling, positions (what scoring only some of them would save) and kill. Without texts it takes the built-in ones.
// Costs are block-tokens (see search.Cost) as a part of the paper's on the same calibration set; CPU seconds are this process's. It ends
// with lines `figure <name> <value>`.
package searchbench

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/llamabind"
)

// part is one thing to measure.
type part struct {
	name string
	do   func(context.Context, *rig) error
}

// parts are all of them, in the order in which they run.
var parts = []part{
	{"decisions", decisions},
	{"orders", ordersApart},
	{"refine", refines},
	{"strategies", strategies},
	{"metrics", metrics},
	{"exhaustive", exhaustive},
	{"scaling", scaling},
	{"positions", positions},
	{"kill", kill},
}

// partNames are the parts in a list.
func partNames(separator string) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return strings.Join(names, separator)
}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("bench search", flag.ContinueOnError)
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	fs.StringVar(&o.calib, "calib", "", "calibration text (default: the built-in one)")
	fs.StringVar(&o.heldOut, "heldout", "", "held-out text (default: the built-in one)")
	fs.IntVar(&o.seeds, "seeds", 5, "calibration samples")
	fs.IntVar(&o.from, "from", 1, "the first sample's seed")
	fs.IntVar(&o.n, "n", 64, "sequences of calibration text")
	fs.IntVar(&o.judge, "judge", 128, "sequences of held-out text")
	fs.IntVar(&o.window, "c", 256, "tokens of a sequence")
	fs.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	fs.IntVar(&o.kills, "kills", 50, "kills of the kill test")
	fs.StringVar(&o.journal, "victim", "", "internal: search with this journal")
	fs.StringVar(&o.journals, "journals", "", "folder for journals, so that a run that was ended goes on; CPU seconds are then of the rest only")
	which := fs.String("parts", partNames(","), "what to measure")
	if err := fs.Parse(args); err != nil {
		return err
	}
	r, err := newRig(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	if o.journal != "" {
		return victim(ctx, r)
	}
	fmt.Printf("%s, %d blocks; %d x %d tokens of %s; %d threads; llama.cpp %s\n",
		r.model.Info().Desc, len(r.session.Blocks()), o.n, o.window, r.calib.Name, o.threads, llamabind.LlamaTag)
	for name := range strings.SplitSeq(*which, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return fmt.Errorf("unknown part %q; there are %s", name, partNames(", "))
		}
		fmt.Printf("\n# %s\n", name)
		if err := parts[i].do(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Println()
	slices.Sort(r.figures)
	for _, f := range r.figures {
		fmt.Println(f)
	}
	return nil
}
