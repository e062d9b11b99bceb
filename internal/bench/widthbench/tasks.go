package widthbench

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// accuracy compares the model with one or several other files on multiple-choice tasks.
func accuracy(ctx context.Context, o options) error {
	pruned, err := o.prunedFile()
	if err != nil {
		return err
	}
	files, err := measure.TaskFiles(o.tasks)
	if err != nil {
		return err
	}
	answers := func(path string) ([]*tasks.Result, error) {
		out, err := evaluate.Tasks(ctx, evaluate.TasksJob{
			Spec: o.spec(path), Tasks: files, First: o.limit, Batch: measure.Batch, UBatch: measure.UBatch,
		}, measure.Warnings{})
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
	}{{"acc", "acc_drop", measure.Right}, {"acc_norm, or acc where a task has none", "acc_norm_drop", measure.RightHeadline}} {
		d := measure.MeanDrop(measure.Each(all, of.right), measure.Each(others, of.right))
		fmt.Printf("mean %s: %.2f (+- %.2f) -> %.2f (+- %.2f), drop %.2f +- %.2f points (standard errors, that of the drop by item)\n", of.name,
			100*d.Before, 100*d.BeforeErr, 100*d.After, 100*d.AfterErr, 100*d.Drop, 100*d.DropErr)
		figure := join("width", o.percent(), label, of.figure)
		lines = append(lines, fmt.Sprintf("figure %s %.2f", figure, 100*d.Drop), fmt.Sprintf("figure %s_stderr %.2f", figure, 100*d.DropErr))
	}
	return lines
}
