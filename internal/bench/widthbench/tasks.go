package widthbench

import (
	"context"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/internal/bench/measure"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// accuracy compares the model and a pruned file on multiple-choice tasks.
func accuracy(ctx context.Context, o options) error {
	pruned, err := o.prunedFile()
	if err != nil {
		return err
	}
	files, err := measure.TaskFiles(o.tasks)
	if err != nil {
		return err
	}
	var results [2][]*tasks.Result
	for i, path := range []string{o.model, pruned} {
		out, err := evaluate.Tasks(ctx, evaluate.TasksJob{
			Spec: o.spec(path), Tasks: files, First: o.limit, Batch: measure.Batch, UBatch: measure.UBatch,
		}, measure.Warnings{})
		if err != nil {
			return err
		}
		results[i] = out.Results
	}
	for i, before := range results[0] {
		after := results[1][i]
		fmt.Printf("%s, %d items: acc %.2f -> %.2f", before.Task.Name, len(before.Answers), 100*before.Accuracy, 100*after.Accuracy)
		if before.Task.Norm != tasks.NoNorm {
			fmt.Printf(", acc_norm %.2f -> %.2f", 100*before.Norm, 100*after.Norm)
		}
		fmt.Println()
	}
	var lines []string
	for _, of := range []struct {
		name, figure string
		right        func(*tasks.Result) []bool
	}{{"acc", "acc_drop", measure.Right}, {"acc_norm, or acc where a task has none", "acc_norm_drop", measure.RightHeadline}} {
		d := measure.MeanDrop(measure.Each(results[0], of.right), measure.Each(results[1], of.right))
		fmt.Printf("mean %s: %.2f (+- %.2f) -> %.2f (+- %.2f), drop %.2f +- %.2f points (standard errors, that of the drop by item)\n", of.name,
			100*d.Before, 100*d.BeforeErr, 100*d.After, 100*d.AfterErr, 100*d.Drop, 100*d.DropErr)
		lines = append(lines, fmt.Sprintf("figure width_%s_%s %.2f", o.percent(), of.figure, 100*d.Drop),
			fmt.Sprintf("figure width_%s_%s_stderr %.2f", o.percent(), of.figure, 100*d.DropErr))
	}
	fmt.Printf("\n%s\n", strings.Join(lines, "\n"))
	return nil
}
