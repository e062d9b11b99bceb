package realbench

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/llamabind"
)

// allParts are what can be done, in the order in which one needs the other.
var allParts = []string{"prune", "ppl", "kld", "tasks", "speed", "table", "plot"}

// The methods. What prune does by default has no channels and blocks to choose between from outside: --kind auto tries shapes of both, and
// takes the best, so that is one method.
const (
	blocks   = "blocks"   // a race for blocks
	repaired = "repaired" // the same blocks, and a repair
	width    = "width"    // prune's default
	quant    = "quant"    // the largest quantisation that is no larger than the default's file
	quantOut = "quantout" // the same with a smaller matrix at the output, which leaves room for a larger type of the others
)

var allMethods = []string{blocks, repaired, width, quant, quantOut}

// options are what the command line says.
type options struct {
	parts, methods           []string
	ratios                   []float64
	model, label, folder     string
	text, tasks, svg         string
	fit                      string // paths, separated by commas
	program, time            string
	window, windows          int
	short, kldWindows        int
	items, tokens, chunks    int
	repeats, threads         int
	partList, methodList, at string
}

// Where models and texts are that are not part of the repository.
const (
	sharedModel = "../shared/models/SmolLM2-135M-Instruct.Q4_1.gguf"
	sharedText  = "../shared/data/wiki_valid_part.txt"
	sharedTasks = "../shared/data/tasks"
)

// parse reads the flags and checks them.
func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("bench real", flag.ContinueOnError)
	fs.StringVar(&o.model, "m", sharedModel, "model")
	fs.StringVar(&o.label, "label", "", "what figures call it (default: the file's name up to the first - . or _)")
	fs.StringVar(&o.partList, "parts", strings.Join(allParts, ","), "what to do, separated by commas")
	fs.StringVar(&o.at, "ratios", "0.1,0.2,0.3", "parts of the parameters that go, separated by commas")
	fs.StringVar(&o.methodList, "methods", strings.Join(allMethods, ","), "how, separated by commas: blocks, repaired (blocks, and a repair), width (the default of prune), quant, quantout (with smaller embeddings)")
	fs.StringVar(&o.folder, "o", "bench-real", "folder of the files that are made, and of the book of results")
	fs.StringVar(&o.program, "program", "", "the ggufprune that is run (default: one that is built now)")
	fs.StringVar(&o.text, "text", sharedText, "text of the perplexity and the divergence: WikiText-2")
	fs.IntVar(&o.window, "c", 0, "tokens of a window (default: the model's context, 2048 at most)")
	fs.IntVar(&o.windows, "windows", 32, "windows of the perplexity")
	fs.IntVar(&o.kldWindows, "kldwindows", 8, "windows of the divergence; each takes twice the vocabulary in bytes for half of its tokens while the part runs")
	fs.IntVar(&o.short, "short", 60, "windows of 512 tokens, on which the figure ppl_ratio is; 0 for none")
	fs.StringVar(&o.tasks, "tasks", sharedTasks, "folder with a file for each task, of the task's name")
	fs.IntVar(&o.items, "limit", 0, "the first so many items of each task (default: all)")
	fs.IntVar(&o.repeats, "repeats", 9, "repeats of a speed, of which the median counts")
	fs.StringVar(&o.fit, "fit", "", "texts to fit and to search on, separated by commas (default: what prune takes by itself)")
	fs.StringVar(&o.time, "time", "", "--time of the searches of blocks, such as 20m")
	fs.IntVar(&o.tokens, "tokens", 0, "positions of fits and repairs (default: prune's)")
	fs.IntVar(&o.chunks, "chunks", 0, "most samples that searches of blocks score on (default: prune's)")
	fs.StringVar(&o.svg, "svg", "", "where the picture goes (default: LABEL.svg in the folder)")
	fs.IntVar(&o.threads, "t", llamabind.PhysicalCores(), "threads")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; give the model with -m", fs.Arg(0))
	}
	return o, o.resolve()
}

// resolve reads what is a list, and fills in what follows from other flags.
func (o *options) resolve() (err error) {
	if o.parts, err = listed(o.partList, allParts, "part"); err != nil {
		return err
	}
	if o.methods, err = listed(o.methodList, allMethods, "method"); err != nil {
		return err
	}
	if o.ratios, err = ratios(o.at); err != nil {
		return err
	}
	if o.windows < 1 || o.kldWindows < 1 || o.short < 0 || o.repeats < 1 || o.window < 0 {
		return errors.New("-windows, -kldwindows and -repeats are 1 at least, -short and -c 0")
	}
	o.kldWindows = min(o.kldWindows, o.windows)
	if o.label == "" {
		base := strings.ToLower(filepath.Base(o.model))
		o.label = base[:strings.IndexFunc(base+".", func(r rune) bool { return r == '-' || r == '.' || r == '_' })]
	}
	o.svg = cmp.Or(o.svg, filepath.Join(o.folder, o.label+".svg"))
	return nil
}

// listed reads a list of names, and returns them in their usual order.
func listed(list string, known []string, what string) (out []string, err error) {
	asked := strings.Split(list, ",")
	for _, name := range asked {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no %s %q; give some of %s", what, name, strings.Join(known, ", "))
		}
	}
	for _, name := range known {
		if slices.Contains(asked, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// ratios reads a list such as 0.1,0.2.
func ratios(list string) (out []float64, err error) {
	for s := range strings.SplitSeq(list, ",") {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x > 0 && x < 1) {
			return nil, fmt.Errorf("%q is no part of the parameters, such as 0.2", s)
		}
		out = append(out, x)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// only reports whether no part but these is asked for.
func (o options) only(parts ...string) bool {
	return !slices.ContainsFunc(o.parts, func(p string) bool { return !slices.Contains(parts, p) })
}
