package measure

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// TaskFiles are the tasks in a folder: of each that [tasks.Names] lists, the first file of its name.
func TaskFiles(folder string) ([]evaluate.TaskFile, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var out []evaluate.TaskFile
	for _, e := range entries {
		name := tasks.CanonicalName(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
		again := slices.ContainsFunc(out, func(f evaluate.TaskFile) bool { return f.Name == name })
		if e.Type().IsRegular() && slices.Contains(tasks.Names, name) && !again {
			out = append(out, evaluate.TaskFile{Name: name, Path: filepath.Join(folder, e.Name())})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no file with the name of a task, such as piqa.jsonl", folder)
	}
	return out, nil
}

// Right says of each item whether it was answered right by log-likelihood.
func Right(r *tasks.Result) (out []bool) {
	for _, a := range r.Answers {
		out = append(out, a.Right)
	}
	return out
}

// RightHeadline is the same by acc_norm, where the task has it.
func RightHeadline(r *tasks.Result) (out []bool) {
	if r.Task.Norm == tasks.NoNorm {
		return Right(r)
	}
	for _, a := range r.Answers {
		out = append(out, a.RightNorm)
	}
	return out
}

// Each says of each task's items what of says of a result.
func Each(results []*tasks.Result, of func(*tasks.Result) []bool) (out tasks.Rights) {
	for _, r := range results {
		out = append(out, of(r))
	}
	return out
}

// Drop is the mean accuracy of some tasks before and after, as parts of the items, with standard errors.
type Drop struct{ Before, After, Drop, BeforeErr, AfterErr, DropErr float64 }

// MeanDrop compares answers to the same items. Tasks count the same. Both models have the same items, so the error of the drop is that
// of the items' differences.
func MeanDrop(before, after tasks.Rights) (d Drop) {
	n := float64(len(before))
	for t := range before {
		a, b := before[t], after[t]
		var xs, ys, differences []float64
		for i := range a {
			x, y := number(a[i]), number(b[i])
			xs, ys, differences = append(xs, x), append(ys, y), append(differences, x-y)
		}
		for _, s := range []struct {
			values    []float64
			mean, err *float64
		}{{xs, &d.Before, &d.BeforeErr}, {ys, &d.After, &d.AfterErr}, {differences, &d.Drop, &d.DropErr}} {
			mean, variance := meanVariance(s.values)
			*s.mean += mean / n
			*s.err += variance / n / n
		}
	}
	d.BeforeErr, d.AfterErr, d.DropErr = math.Sqrt(d.BeforeErr), math.Sqrt(d.AfterErr), math.Sqrt(d.DropErr)
	return d
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// meanVariance is the mean of values and the variance of that mean.
func meanVariance(values []float64) (mean, variance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / max(1, n-1) / n
}
