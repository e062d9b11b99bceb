// Command bench measures what docs/BENCHMARKS.md says of the engine and the writer, on random weights of real shapes.
//
//	go run ./internal/bench [-quick] [-dir DIR] [-peers DIR]
//
// It generates the models on the spot, runs every measurement in a process of its own, and prints lines `figure <name> <value>`.
// Figures are ratios of CPU seconds measured in one run, the worst of the shapes; `-quick` takes the small shape only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/llamabind"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	child := flag.String("child", "", "internal: run one measurement")
	model := flag.String("model", "", "internal: its model")
	text := flag.String("text", "", "internal: its text")
	n := flag.Int("n", 0, "internal: its size")
	dir := flag.String("dir", "", "folder for the models (default: a temporary one)")
	peers := flag.String("peers", "third_party/llama.cpp/build/bin", "folder with llama-perplexity")
	threads := flag.Int("t", llamabind.PhysicalCores(), "threads")
	quick := flag.Bool("quick", false, "only the small shape")
	flag.Parse()
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
	fmt.Printf("machine: %s, %d threads, %s/%s, llama.cpp %s\n", cpuName(), *threads, runtime.GOOS, runtime.GOARCH, llamabind.LlamaTag)
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

func cpuName() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
			}
		}
	}
	return runtime.GOARCH
}
