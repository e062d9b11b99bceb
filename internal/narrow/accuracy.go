package narrow

import (
	"cmp"
	"context"
	"math"
	"slices"

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

// near is how much the losses of two shapes may differ, in nats, by the chance of a short fit.
const near = 0.02

// pick is the trial that loses the least, of those that which names and that no other one of these is clearly more accurate than. Of
// trials that lose about as little it is the evenest: what an FFN of very few channels loses shows on text that no trial has seen.
func pick(trials []trial, which []int, loss func(plan.Shape) float64, narrowest func(i int) int) int {
	var fair []int
	least := math.Inf(1)
	for _, i := range which {
		t, beaten := trials[i], false
		for _, k := range which {
			other := trials[k]
			if t.Answers != nil && other.Answers != nil {
				ahead, stderr := other.Answers.Ahead(t.Answers)
				beaten = beaten || ahead > clearly*stderr && ahead > 0
			}
		}
		if !beaten {
			fair, least = append(fair, i), min(least, loss(t.Shape))
		}
	}
	return slices.MaxFunc(fair, func(a, b int) int {
		la, lb := loss(trials[a].Shape), loss(trials[b].Shape)
		closeA, closeB := la <= least+near, lb <= least+near
		if closeA && closeB && narrowest(a) != narrowest(b) {
			return cmp.Compare(narrowest(a), narrowest(b))
		}
		return cmp.Compare(lb, la)
	})
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
