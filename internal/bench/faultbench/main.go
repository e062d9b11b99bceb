// Package faultbench does to ggufprune what happens to programs: it kills its jobs at random moments, and takes the disk away from them.
// docs/BENCHMARKS.md has its figures.
//
//	go run ./internal/bench faults [-parts kill,disk] [-model M.gguf] [-kills N] [-jobs LIST]
//
// The part disk wants a system that mounts a tmpfs for it (Linux, as root); elsewhere it says so.
package faultbench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
)

// options are what the command line says.
type options struct {
	program, model, text, dir string
	jobs                      []job
	kills, threads            int
	seed                      uint64
}

var parts = map[string]func(context.Context, options) error{"kill": kill, "disk": disk}

// Run measures; args are the flags.
func Run(ctx context.Context, args []string) error {
	o := options{}
	fs := flag.NewFlagSet("bench faults", flag.ContinueOnError)
	what := fs.String("parts", "kill,disk", "what to do, separated by commas: kill, disk")
	only := fs.String("jobs", names(jobs), "the jobs that are disturbed, separated by commas")
	fs.StringVar(&o.program, "program", "", "the ggufprune that is run (default: one that is built now)")
	fs.StringVar(&o.model, "model", "testdata/tiny-11m-Q8_0.gguf", "model")
	fs.StringVar(&o.text, "f", "testdata/simple.jsonl", "text of searches and fits")
	fs.IntVar(&o.kills, "kills", 200, "kills in all, of the part kill")
	fs.IntVar(&o.threads, "t", 2, "threads")
	fs.Uint64Var(&o.seed, "seed", 1, "of the moments of the kills")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for name := range strings.SplitSeq(*only, ",") {
		i := slices.IndexFunc(jobs, func(j job) bool { return j.name == name })
		if i < 0 {
			return fmt.Errorf("job %q: use %s", name, names(jobs))
		}
		o.jobs = append(o.jobs, jobs[i])
	}
	dir, err := os.MkdirTemp("", "ggufprune-faults-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	if o.program == "" {
		if o.program, err = measure.Build(ctx, dir); err != nil {
			return err
		}
	}
	for _, path := range []*string{&o.program, &o.model, &o.text} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	for name := range strings.SplitSeq(*what, ",") {
		part := parts[name]
		if part == nil {
			return fmt.Errorf("part %q: use kill or disk", name)
		}
		fmt.Printf("# %s\n", name)
		if err := part(ctx, o); err != nil {
			return errors.Join(fmt.Errorf("part %s", name), err)
		}
	}
	return nil
}

// job is a command of ggufprune that writes files.
type job struct {
	name    string
	args    []string // MODEL and TEXT stand for the options' ones
	results []string // of what it writes, the files that are the same every time
}

// narrow is a small job with everything in it.
var narrow = []string{
	"prune", "-m", "MODEL", "--ratio", "0.2", "--output", "out.gguf", "--plan", "plan.json", "-f", "TEXT", "--repair-text", "TEXT",
	"-c", "128", "--chunks", "8", "--repair-tokens", "2048", "--no-compare",
}

// jobs are small ones of each kind.
var jobs = []job{
	{"search", []string{"search", "-m", "MODEL", "--kind", "mix", "--blocks", "4", "--chunks", "16", "-c", "128", "-f", "TEXT", "--plan", "plan.json"}, []string{"plan.json"}},
	{"width", narrow, []string{"out.gguf"}},
	{"repair", []string{
		"apply", "-m", "MODEL", "--mask", "attn:3,ffn:5", "--repair", "full", "--repair-text", "TEXT", "--repair-tokens", "4096",
		"-c", "128", "--output", "out.gguf",
	}, []string{"out.gguf"}},
	{"write", []string{"apply", "-m", "MODEL", "--mask", "attn:3,ffn:5", "--repair", "off", "--output", "out.gguf"}, []string{"out.gguf"}},
	{"quantize", []string{"quantize", "--allow-requantize", "MODEL", "out.gguf", "Q4_0"}, []string{"out.gguf"}},
}

func names(jobs []job) string {
	var out []string
	for _, j := range jobs {
		out = append(out, j.name)
	}
	return strings.Join(out, ",")
}

// command is the job's command line.
func (o options) command(j job) []string {
	out := slices.Clone(j.args)
	for i, a := range out {
		switch a {
		case "MODEL":
			out[i] = o.model
		case "TEXT":
			out[i] = o.text
		}
	}
	return slices.Insert(out, 1, "--threads", strconv.Itoa(o.threads))
}
