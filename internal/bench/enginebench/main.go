// Package enginebench measures what docs/BENCHMARKS.md says of the engine and the writer, on random weights of real shapes. It
// generates the models on the spot, runs every measurement in a process of its own, and prints lines `figure <name> <value>`.
// Figures are ratios of CPU seconds measured in one run, the worst of the shapes; `-quick` takes the small shape only.
package enginebench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/llamabind"
)

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench engine", flag.ContinueOnError)
	child := fs.String("child", "", "internal: run one measurement")
	model := fs.String("model", "", "internal: its model")
	text := fs.String("text", "", "internal: its text")
	n := fs.Int("n", 0, "internal: its size")
	dir := fs.String("dir", "", "folder for the models (default: a temporary one)")
	peers := fs.String("peers", "third_party/llama.cpp/build/bin", "folder with llama-perplexity")
	threads := fs.Int("t", llamabind.PhysicalCores(), "threads")
	quick := fs.Bool("quick", false, "only the small shape")
	types := fs.Bool("types", false, "only the speed of a search's passes in each tensor type")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *child != "" {
		return runChild(ctx, *child, *model, *text, *n, *threads)
	}
	b := &bench{peers: *peers, threads: *threads, dir: *dir}
	if b.dir == "" {
		tmp, err := os.MkdirTemp("", "ggufprune-bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		b.dir = tmp
	}
	fmt.Printf("machine: %s, %d threads, %s/%s, llama.cpp %s\n", machine.CPUName(), *threads, runtime.GOOS, runtime.GOARCH, llamabind.LlamaTag)
	if *types {
		return b.types(ctx)
	}
	shapes := []randmodel.Shape{randmodel.Qwen05B, randmodel.Llama1B}
	if *quick {
		shapes = shapes[:1]
	}
	for _, s := range shapes {
		if err := b.shape(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	b.figures()
	return nil
}

// bench gathers the figures over the shapes.
type bench struct {
	dir, peers string
	threads    int

	gain, pass, write, rss []float64
}

func (b *bench) shape(ctx context.Context, s randmodel.Shape) error {
	model := filepath.Join(b.dir, strings.Fields(s.Name)[0]+"-Q8_0.gguf")
	if err := randmodel.Write(ctx, model, s, 1); err != nil {
		return err
	}
	runtime.GC()
	text := filepath.Join(b.dir, "noise.txt")
	if err := os.WriteFile(text, []byte(randmodel.Text(20000, 2)), 0o600); err != nil {
		return err
	}
	info, err := os.Stat(model)
	if err != nil {
		return err
	}
	fmt.Printf("%s, Q8_0, %.2f GiB\n", s.Name, float64(info.Size())/(1<<30))
	for _, measure := range []func(context.Context, string, string) error{b.writing, b.passes, b.memory, b.iteration} {
		if err := measure(ctx, model, text); err != nil {
			return err
		}
	}
	return os.Remove(model)
}

func (b *bench) figures() {
	worst := func(xs []float64, larger bool) float64 {
		w := xs[0]
		for _, x := range xs {
			if (x > w) == larger {
				w = x
			}
		}
		return w
	}
	fmt.Printf("figure iteration_gain %.3f\n", worst(b.gain, false))
	fmt.Printf("figure pass_vs_llama_perplexity %.3f\n", worst(b.pass, true))
	fmt.Printf("figure write_vs_cp %.3f\n", worst(b.write, false))
	fmt.Printf("figure search_extra_rss_mb %.0f\n", worst(b.rss, true))
}
