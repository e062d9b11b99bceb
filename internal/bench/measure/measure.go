// Package measure has what several benches measure with: the program as a child process with what it takes, tasks, speeds.
package measure

import (
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
)

// Tokens of a batch and of a graph: llama.cpp's defaults.
const (
	Batch  = 2048
	UBatch = 512
)

// Spec is a model that runs as the program runs it by default.
func Spec(e engine.Runtime, path string, threads int) source.Spec {
	return source.Spec{Engine: e, Path: path, Threads: threads, FlashAttn: "auto", Model: engine.ModelParams{NGPULayers: -1, SplitMode: "layer"}}
}

// Warnings is where jobs tell what they do: only warnings are worth a line here.
type Warnings struct{ progress.Silent }

// Warnf prints a warning to standard error.
func (Warnings) Warnf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "warning: "+format+"\n", args...)
}

// Median is the mean of the two in the middle where there is an even number; NaN of nothing.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
