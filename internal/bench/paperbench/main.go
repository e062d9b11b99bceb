// Package paperbench holds our greedy search against the published algorithm, run in PyTorch by scripts/paper_reference.py on the
// same documents: what both choose, and the CPU seconds that both take. docs/BENCHMARKS.md has its figures.
//
//	go run ./internal/bench paper [-model M.gguf] [-f TEXT] [-n N] [-c TOKENS] [-steps N] [-t N] [-o REFERENCE.json]
//	go run ./internal/bench paper [-model M.gguf] -reference REFERENCE.json
//
// The first runs PyTorch, too (make bench-paper makes the Python for it). The second compares with what such a run wrote, on its
// documents and with its number of threads. If a step's choices differ, the next one is about the reference's model on both sides.
package paperbench

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// options are what the command line says.
type options struct {
	model, reference, output string
	python                   string
	text                     corpus.Text
	steps, threads           int
}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	o := options{text: corpus.Text{Convention: perplexity.Samples}}
	fs := flag.NewFlagSet("bench paper", flag.ContinueOnError)
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	fs.StringVar(&o.reference, "reference", "", "what scripts/paper_reference.py wrote before (default: run it now); of the other flags only -model then counts")
	fs.StringVar(&o.text.File, "f", "", "calibration text (default: the built-in one)")
	fs.IntVar(&o.text.Max, "n", 16, "documents")
	fs.Uint64Var(&o.text.Seed, "seed", 0, "which documents; 0 is the first ones")
	fs.IntVar(&o.text.Context, "c", 256, "most tokens of a document")
	fs.IntVar(&o.text.Batch, "b", 512, "most tokens that run at once, on both sides")
	fs.IntVar(&o.steps, "steps", 8, "blocks to remove")
	fs.IntVar(&o.threads, "t", 1, "threads, on both sides")
	fs.StringVar(&o.python, "python", "third_party/paper/venv/bin/python", "the Python to run the reference with")
	fs.StringVar(&o.output, "o", "", "where what the reference writes goes (default: a temporary file)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.steps < 1 || o.threads < 1 || o.text.Batch < 1 {
		return errors.New("-steps, -t and -b want numbers from 1 on")
	}
	dir, err := os.MkdirTemp("", "ggufprune-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := o.reference
	if path == "" {
		if path = o.output; path == "" {
			path = filepath.Join(dir, "reference.json")
		}
		if err := o.runReference(ctx, dir, path); err != nil {
			return err
		}
	}
	ref, err := readReference(path)
	if err != nil {
		return err
	}
	steps, err := o.search(ctx, ref, dir)
	if err != nil {
		return err
	}
	report(ref, steps)
	return nil
}

// open loads the model on the CPU, where PyTorch computes, too.
func (o options) open(ctx context.Context, threads int) (*source.Source, error) {
	return source.Open(ctx, source.Spec{
		Engine: llamabind.Runtime{}, Path: o.model, Threads: threads, FlashAttn: "auto", Model: engine.ModelParams{Devices: []string{"none"}},
	})
}
