package widthbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
)

// options are what the command line says.
type options struct {
	parts, model, fitTexts, judgeTexts string
	names, label                       string
	reference, output, pruned, tasks   string
	plan                               string
	program, ratios                    string
	ratio                              float64
	width, tokens, window              int
	judge, threads, limit, chunks      int
	repeats, seeds                     int
	seed                               uint64

	given map[string]bool // flags that the user gives
	run   *run
}

// run is what the parts of one run have in common.
type run struct {
	folder string             // of files that do not stay; "" until one is needed
	judged map[string]verdict // by model and text
	pruned string             // the file of the part prune
	plan   string             // and its plan

	program string // ggufprune, when it is built
}

// text is one to judge on, with its name in figures.
type text struct{ name, path string }

// judges are the texts to judge on.
func (o options) judges() ([]text, error) {
	var out []text
	for path := range strings.SplitSeq(o.judgeTexts, ",") {
		base := filepath.Base(path)
		out = append(out, text{strings.TrimSuffix(base, filepath.Ext(base)), path})
	}
	if o.names == "" {
		return out, nil
	}
	names := strings.Split(o.names, ",")
	if len(names) != len(out) {
		return nil, fmt.Errorf("-names has %d names, -judge %d texts; give one for each", len(names), len(out))
	}
	for i, name := range names {
		out[i].name = name
	}
	return out, nil
}

// percent is the ratio as figures have it in their names.
func (o options) percent() string { return fmt.Sprintf("%02.0f", 100*o.ratio) }

// spec is a model that runs as the program runs it by default.
func (o options) spec(path string) source.Spec {
	return measure.Spec(llamabind.Runtime{}, path, o.threads)
}

// prunedFile is the file that the parts tasks and speed look at.
func (o options) prunedFile() (string, error) {
	switch {
	case o.pruned != "":
		return o.pruned, nil
	case o.run.pruned != "":
		return o.run.pruned, nil
	}
	return "", errors.New("there is no pruned file to look at; give -pruned FILE, or the part prune before")
}

// temporary is a folder for files that do not stay.
func (r *run) temporary() (string, error) {
	if r.folder != "" {
		return r.folder, nil
	}
	var err error
	r.folder, err = os.MkdirTemp("", "ggufprune-bench-*")
	return r.folder, err
}
