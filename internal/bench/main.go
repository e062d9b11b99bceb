// Command bench measures what docs/BENCHMARKS.md says.
//
//	go run ./internal/bench engine [-quick] [-dir DIR] [-peers DIR]
//	go run ./internal/bench search [-model M.gguf] [-parts LIST] ...
//	go run ./internal/bench repair [-models LIST] [-parts LIST] ...
//	go run ./internal/bench width [-model M.gguf] [-parts LIST] [-fit TEXTS] [-judge TEXTS] ...
//	go run ./internal/bench paper [-model M.gguf] [-f TEXT] [-reference FILE] ...
//	go run ./internal/bench real [-m M.gguf] [-parts LIST] [-methods LIST] [-o DIR] ...
//	go run ./internal/bench faults [-parts LIST] [-kills N] ...
//
// Each prints what it sees, and ends with lines `figure <name> <value>`. Figures are ratios of CPU seconds measured in one run,
// wherever they are about time. Flag -h of each lists the others.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/ggufprune/ggufprune/internal/bench/enginebench"
	"github.com/ggufprune/ggufprune/internal/bench/faultbench"
	"github.com/ggufprune/ggufprune/internal/bench/paperbench"
	"github.com/ggufprune/ggufprune/internal/bench/realbench"
	"github.com/ggufprune/ggufprune/internal/bench/repairbench"
	"github.com/ggufprune/ggufprune/internal/bench/searchbench"
	"github.com/ggufprune/ggufprune/internal/bench/widthbench"
)

// benches are the subcommands.
var benches = map[string]func(ctx context.Context, args []string) error{
	"engine": enginebench.Run,
	"search": searchbench.Run,
	"repair": repairbench.Run,
	"width":  widthbench.Run,
	"paper":  paperbench.Run,
	"real":   realbench.Run,
	"faults": faultbench.Run,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) < 2 || benches[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "bench: name what to measure: engine, search, repair, width, real, paper or faults")
		os.Exit(2)
	}
	err := benches[os.Args[1]](ctx, os.Args[2:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
