package widthbench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// accuracy compares the model with one or several other files on multiple-choice tasks.
func accuracy(ctx context.Context, o options) error {
	pruned, err := o.prunedFile()
	if err != nil {
		return err
	}
	files, err := taskFiles(o.tasks)
	if err != nil {
		return err
	}
	answers := func(path string) ([]*tasks.Result, error) {
		out, err := evaluate.Tasks(ctx, evaluate.TasksJob{
			Spec: o.spec(path), Tasks: files, First: o.limit, Batch: usualBatch, UBatch: usualUBatch,
		}, told{})
		if err != nil {
			return nil, err
		}
		return out.Results, nil
	}
	before, err := answers(o.model)
	if err != nil {
		return err
	}
	var lines []string
	for path := range strings.SplitSeq(pruned, ",") {
		after, err := answers(path)
		if err != nil {
			return err
		}
		label := o.label
		if path != pruned { // of several the names tell them apart
			label = strings.TrimSuffix(filepath.Base(path), ".gguf")
		}
		fmt.Printf("%s\n", filepath.Base(path))
		lines = append(lines, o.compareAnswers(before, after, label)...)
	}
	fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	return nil
}

// compareAnswers prints what became of the accuracy of each task and of their mean, and returns the figures of that.
func (o options) compareAnswers(all, others []*tasks.Result, label string) (lines []string) {
	for i, before := range all {
		after := others[i]
		fmt.Printf("%s, %d items: acc %.2f -> %.2f", before.Task.Name, len(before.Answers), 100*before.Accuracy, 100*after.Accuracy)
		if before.Task.Norm != tasks.NoNorm {
			fmt.Printf(", acc_norm %.2f -> %.2f", 100*before.Norm, 100*after.Norm)
		}
		fmt.Println()
	}
	for _, of := range []struct {
		name, figure string
		right        func(*tasks.Result) []bool
	}{{"acc", "acc_drop", right}, {"acc_norm, or acc where a task has none", "acc_norm_drop", rightHeadline}} {
		d := meanDrop(all, others, of.right)
		fmt.Printf("mean %s: %.2f (+- %.2f) -> %.2f (+- %.2f), drop %.2f +- %.2f points (standard errors, that of the drop by item)\n", of.name,
			100*d.before, 100*d.beforeErr, 100*d.after, 100*d.afterErr, 100*d.drop, 100*d.dropErr)
		figure := join("width", o.percent(), label, of.figure)
		lines = append(lines, fmt.Sprintf("figure %s %.2f", figure, 100*d.drop), fmt.Sprintf("figure %s_stderr %.2f", figure, 100*d.dropErr))
	}
	return lines
}

// taskFiles are the tasks in a folder: of each that [tasks.Names] lists, the first file of its name.
func taskFiles(folder string) ([]evaluate.TaskFile, error) {
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

// right says of each item whether it was answered right by log-likelihood.
func right(r *tasks.Result) (out []bool) {
	for _, a := range r.Answers {
		out = append(out, a.Right)
	}
	return out
}

// rightHeadline is the same by acc_norm, where the task has it.
func rightHeadline(r *tasks.Result) (out []bool) {
	if r.Task.Norm == tasks.NoNorm {
		return right(r)
	}
	for _, a := range r.Answers {
		out = append(out, a.RightNorm)
	}
	return out
}

// drop is the mean accuracy of some tasks before and after, as parts of the items, with standard errors.
type drop struct{ before, after, drop, beforeErr, afterErr, dropErr float64 }

// meanDrop compares answers to the same items. Tasks count the same. Both models have the same items, so the error of the drop is that
// of the items' differences.
func meanDrop(before, after []*tasks.Result, of func(*tasks.Result) []bool) (d drop) {
	n := float64(len(before))
	for t := range before {
		a, b := of(before[t]), of(after[t])
		var xs, ys, differences []float64
		for i := range a {
			x, y := number(a[i]), number(b[i])
			xs, ys, differences = append(xs, x), append(ys, y), append(differences, x-y)
		}
		for _, s := range []struct {
			values    []float64
			mean, err *float64
		}{{xs, &d.before, &d.beforeErr}, {ys, &d.after, &d.afterErr}, {differences, &d.drop, &d.dropErr}} {
			mean, variance := meanVariance(s.values)
			*s.mean += mean / n
			*s.err += variance / n / n
		}
	}
	d.beforeErr, d.afterErr, d.dropErr = math.Sqrt(d.beforeErr), math.Sqrt(d.afterErr), math.Sqrt(d.dropErr)
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
