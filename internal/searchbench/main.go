// Command searchbench measures what docs/BENCHMARKS.md says of the search: what strategies cost, what they find, and how they end
// when they are killed.
//
//	go run ./internal/searchbench [-model M.gguf] [-calib FILE] [-heldout FILE] [-seeds N] [-parts LIST]
//
// The parts are decisions (greedy and fast over several calibration samples), orders (fast in several orders of their sequences),
// refine (the same samples), strategies (all of them in one table), metrics (perplexity against KL divergence), exhaustive (the best 4
// of all blocks), scaling, positions (what scoring only some of them would save) and kill. Without texts it takes the built-in ones.
// Costs are block-tokens (see search.Cost) as a part of the paper's on the same calibration set; CPU seconds are this process's. It ends
// with lines `figure <name> <value>`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/llamabind"
)

// options are what the command line says.
type options struct {
	model, calib, heldOut string
	seeds, n, window      int
	judge, from           int
	threads, kills        int
	journal               string
	journals              string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "searchbench:", err)
		os.Exit(1)
	}
}

var parts = []string{"decisions", "orders", "refine", "strategies", "metrics", "exhaustive", "scaling", "positions", "kill"}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	flag.StringVar(&o.calib, "calib", "", "calibration text (default: the built-in one)")
	flag.StringVar(&o.heldOut, "heldout", "", "held-out text (default: the built-in one)")
	flag.IntVar(&o.seeds, "seeds", 5, "calibration samples")
	flag.IntVar(&o.from, "from", 1, "the first sample's seed")
	flag.IntVar(&o.n, "n", 64, "sequences of calibration text")
	flag.IntVar(&o.judge, "judge", 128, "sequences of held-out text")
	flag.IntVar(&o.window, "c", 256, "tokens of a sequence")
	flag.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	flag.IntVar(&o.kills, "kills", 50, "kills of the kill test")
	flag.StringVar(&o.journal, "victim", "", "internal: search with this journal")
	flag.StringVar(&o.journals, "journals", "", "folder for journals, so that a run that was ended goes on; CPU seconds are then of the rest only")
	which := flag.String("parts", strings.Join(parts, ","), "what to measure")
	flag.Parse()
	r, err := newRig(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	if o.journal != "" {
		return r.victim(ctx)
	}
	fmt.Printf("%s, %d blocks; %d x %d tokens of %s; %d threads; llama.cpp %s\n",
		r.model.Info().Desc, len(r.session.Blocks()), o.n, o.window, r.calib.Name, o.threads, llamabind.LlamaTag)
	for part := range strings.SplitSeq(*which, ",") {
		do, ok := map[string]func(context.Context) error{
			"decisions": r.decisions, "orders": r.ordersApart, "refine": r.refines, "strategies": r.strategies, "metrics": r.metrics,
			"exhaustive": r.exhaustive, "scaling": r.scaling, "positions": r.positions, "kill": r.kill,
		}[part]
		if !ok {
			return fmt.Errorf("unknown part %q; there are %s", part, strings.Join(parts, ", "))
		}
		fmt.Printf("\n# %s\n", part)
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	fmt.Println()
	slices.Sort(r.figures)
	for _, f := range r.figures {
		fmt.Println(f)
	}
	return nil
}

func (r *rig) figure(name string, value float64) {
	r.figures = append(r.figures, fmt.Sprintf("figure %s %.4g", name, value))
}
