// Package repairbench measures what a repair wins back of what pruning lost; docs/BENCHMARKS.md has its figures.
package repairbench

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/find"
)

// parts are what can be measured.
var parts = map[string]func(context.Context, *rig) error{
	"repair": repairs, "aware": aware, "curve": curves, "dense": dense, "cost": costs, "costof": costOf,
}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("bench repair", flag.ContinueOnError)
	fs.StringVar(&o.models, "models", "testdata/tiny-11m-Q8_0.gguf", "models, separated by commas; the first one is searched")
	fs.StringVar(&o.calib, "calib", "", "instructions to calibrate on (default: the built-in text)")
	fs.StringVar(&o.heldOut, "heldout", "", "instructions to judge on (default: the built-in held-out text)")
	fs.StringVar(&o.other, "other", "", "another text: its first half is calibrated on, its second judged on")
	fs.IntVar(&o.seeds, "seeds", 3, "calibration samples")
	fs.IntVar(&o.window, "c", 256, "tokens of a sequence")
	fs.IntVar(&o.threads, "t", 2, "threads")
	fs.IntVar(&o.judge, "judge", 64, "sequences of each text to judge on")
	fs.IntVar(&o.tokens, "repair-tokens", usualTokens, "positions of a repair")
	fs.IntVar(&o.awareTokens, "aware-tokens", find.AwareTokens, "positions that searches of the part aware are calibrated on")
	fs.Uint64Var(&o.from, "from", 1, "the first sample's seed")
	fs.IntVar(&o.shape, "shape", 0, "internal: of the part costof")
	fs.StringVar(&o.curve, "curve", "2,4,6,8,10,12,14", "removed blocks of the part curve")
	fs.StringVar(&o.strategies, "strategies", "greedy,fast-kld,aware", "searches of the part aware")
	fs.StringVar(&o.orders, "orders", "", "a file with the lines of an earlier run that say what each search removed; those are not repeated")
	fs.StringVar(&o.blocks, "blocks", "4,8,12", "removed blocks")
	fs.StringVar(&o.methods, "methods", "full,map", "repairs")
	fs.StringVar(&o.parts, "parts", "repair,aware,curve", "what to measure: repair, aware, curve, dense, cost")
	fs.StringVar(&o.mask, "mask", "", "removed blocks of each sample in order, separated by semicolons, in place of a search")
	if err := fs.Parse(args); err != nil {
		return err
	}
	r := &rig{options: o}
	if err := r.read(); err != nil {
		return err
	}
	for _, part := range strings.Split(o.parts, ",") {
		f, ok := parts[part]
		if !ok {
			return fmt.Errorf("no part %q", part)
		}
		fmt.Printf("\n# %s\n", part)
		if err := f(ctx, r); err != nil {
			return err
		}
	}
	slices.Sort(r.figures)
	fmt.Println()
	for _, f := range slices.Compact(r.figures) {
		fmt.Println(f)
	}
	return nil
}
