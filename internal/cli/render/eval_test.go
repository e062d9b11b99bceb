package render

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// exampleEval is an outcome on two tasks: 3 (normalised: 2) of 4 right on one, 1 of 2 on one without acc_norm.
func exampleEval() *evaluate.TasksOutcome {
	four := &tasks.Task{Name: "arc-easy", Convention: tasks.Harness, Norm: tasks.Characters}
	for range 4 {
		four.Items = append(four.Items, tasks.Item{Choices: make([]tasks.Choice, 4), Right: []bool{true, false, false, false}})
	}
	two := &tasks.Task{Name: "winogrande", Convention: tasks.Harness, Skipped: 1}
	for range 2 {
		two.Items = append(two.Items, tasks.Item{Choices: make([]tasks.Choice, 2), Right: []bool{false, true}})
	}
	return &evaluate.TasksOutcome{
		Model: "m.gguf", Context: 64, Files: []string{"a.jsonl", "w.jsonl"},
		Results: []*tasks.Result{
			{
				Task: four, Truncated: 1, Answers: make([]tasks.Answer, 4), Correct: 3, CorrectNorm: 2, Accuracy: 0.75, Norm: 0.5,
				Interval: tasks.Interval{Low: 0.25, High: 0.95}, NormSpan: tasks.Interval{Low: 0.2, High: 0.8},
			},
			{Task: two, Answers: make([]tasks.Answer, 2), Correct: 1, Accuracy: 0.5, Interval: tasks.Interval{Low: 0.1, High: 0.9}},
		},
	}
}

func TestEvalTable(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	printEval(ui.New(ui.Options{Out: &stdout, Err: &stderr}), exampleEval())
	want := `task        items     acc          95%  acc_norm          95%  chance  as
----------------------------------------------------------------------------------------------
arc-easy        4  75.00%  25.00-95.00    50.00%  20.00-80.00  25.00%  lm-evaluation-harness
winogrande      2  50.00%  10.00-90.00                         50.00%  lm-evaluation-harness
mean               62.50%  30.48-84.86    50.00%  25.00-75.00  37.50%
`
	if d := cmp.Diff(want, stdout.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	want = `warning: a.jsonl: 1 of 4 items are longer than the context of 64 tokens and lost their beginning
w.jsonl: 1 lines hold no item and were left out
`
	if d := cmp.Diff(want, stderr.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	stdout.Reset()
	out := exampleEval()
	out.Results = out.Results[1:]
	if printEval(ui.New(ui.Options{Out: &stdout, Err: &stderr}), out); bytes.Contains(stdout.Bytes(), []byte("mean")) {
		t.Errorf("a mean of one task:\n%s", &stdout)
	}
}

func TestEvalJSON(t *testing.T) {
	t.Parallel()
	out := exampleEval()
	got := marshal(t, newEvalJSON(out, nil))
	if mean, ok := got["mean"].(map[string]any); !ok || mean["acc"] != 0.625 || mean["acc_norm"] != 0.5 || mean["chance"] != 0.375 ||
		len(mean["acc_interval"].([]any)) != 2 || len(mean["acc_norm_interval"].([]any)) != 2 {
		t.Errorf("mean: %v", got["mean"])
	}
	want := []any{
		map[string]any{
			"task": "arc-easy", "file": "a.jsonl", "convention": "lm-evaluation-harness", "items": 4.0, "skipped": 0.0, "truncated": 1.0, "chance": 0.25,
			"correct": 3.0, "acc": 0.75, "acc_interval": []any{0.25, 0.95},
			"norm_by": "characters", "correct_norm": 2.0, "acc_norm": 0.5, "acc_norm_interval": []any{0.2, 0.8},
		},
		map[string]any{
			"task": "winogrande", "file": "w.jsonl", "convention": "lm-evaluation-harness", "items": 2.0, "skipped": 1.0, "truncated": 0.0, "chance": 0.5,
			"correct": 1.0, "acc": 0.5, "acc_interval": []any{0.1, 0.9},
		},
	}
	if d := cmp.Diff(want, got["tasks"]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got["command"] != "eval" || got["model"] != "m.gguf" || got["mask"] != "" || got["n_ctx"] != 64.0 {
		t.Errorf("%v", got)
	}
	out.Results = out.Results[:1]
	if got := marshal(t, newEvalJSON(out, nil)); got["mean"] != nil {
		t.Errorf("a mean of one task: %v", got["mean"])
	}
}
