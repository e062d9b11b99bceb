package narrow

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Tasks are what shapes are judged by beside their losses. The sets are read already.
type Tasks struct {
	Job  evaluate.TasksJob // without a model and a mask
	Sets []*tasks.Task
}

// answer has the loaded model answer the tasks without removed; nil where there are none.
func (n *Narrower) answer(ctx context.Context, removed blockmask.Mask) (tasks.Rights, error) {
	if len(n.Tasks.Sets) == 0 {
		return nil, nil
	}
	j := n.Tasks.Job
	j.Mask = removed
	out, err := j.On(ctx, n.src, n.Tasks.Sets, n.sink)
	if err != nil {
		return nil, err
	}
	return tasks.RightsOf(out.Results), nil
}

// clearly is how many standard errors of accuracy are not chance: then they count more than a loss.
const clearly = 2

// pick is the trial that loses the least, of those that which names and that no other one of these is clearly more accurate than.
func pick(trials []trial, which []int, loss func(plan.Shape) float64) int {
	best := -1
	for _, i := range which {
		t, beaten := trials[i], false
		for _, k := range which {
			other := trials[k]
			if t.Answers != nil && other.Answers != nil {
				ahead, stderr := other.Answers.Ahead(t.Answers)
				beaten = beaten || ahead > clearly*stderr && ahead > 0
			}
		}
		if !beaten && (best < 0 || loss(t.Shape) < loss(trials[best].Shape)) {
			best = i
		}
	}
	return best
}

// Accuracy has the fitted model answer the tasks, without removed, and returns the accuracies before and after.
func (n *Narrower) Accuracy(ctx context.Context, removed blockmask.Mask) (out []plan.Task, err error) {
	after, err := n.answer(ctx, removed)
	if err != nil {
		return nil, err
	}
	for i, t := range n.Tasks.Sets {
		out = append(out, plan.Task{Name: t.Name, Items: len(n.before[i]), Before: n.before.Part(i), After: after.Part(i)})
	}
	return out, nil
}
