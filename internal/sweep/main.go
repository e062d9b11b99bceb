// Command sweep checks ggufprune on every architecture for which llama.cpp's tests write a model.
//
//	go run ./internal/sweep archs     [-dir DIR] [-filter TEXT]
//	go run ./internal/sweep layouts   [-dir DIR] [-filter TEXT]
//	go run ./internal/sweep widths    [-dir DIR] [-filter TEXT]
//	go run ./internal/sweep reference -model M.gguf -json reference_search.json
//
// It prints a line for each architecture and ends with lines `figure <name> <value>`.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/ggufprune/ggufprune/llamabind"
)

// defaultDir is where `make peers` puts the models of llama.cpp's test-llama-archs.
const defaultDir = "third_party/llama.cpp/build/archs"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("sweep", flag.ContinueOnError)
	dir := fs.String("dir", defaultDir, "folder with the models of test-llama-archs")
	filter := fs.String("filter", "", "only models whose name contains this")
	model := fs.String("model", "", "model of the reference search")
	ref := fs.String("json", "", "file of the reference search")
	noRepack := fs.Bool("no-repack", false, "keep weights as they are in the file")
	verbose := fs.Bool("v", false, "llama.cpp's log on stderr")
	if len(args) == 0 {
		return fmt.Errorf("usage: sweep archs|layouts|widths|reference [-dir DIR] [-filter TEXT]")
	}
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if *verbose {
		llamabind.SetLogger(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	switch args[0] {
	case "archs":
		return archs(ctx, *dir, *filter, *noRepack)
	case "layouts":
		return layouts(ctx, *dir, *filter)
	case "widths":
		return widths(ctx, *dir, *filter)
	case "reference":
		return reference(ctx, *model, *ref)
	default:
		return fmt.Errorf("unknown sweep %q", args[0])
	}
}
