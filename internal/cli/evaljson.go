package cli

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// evalJSON is printed by eval.
type evalJSON struct {
	Command  string         `json:"command"`
	Tool     string         `json:"tool"`
	LlamaCpp string         `json:"llama_cpp"`
	Model    string         `json:"model"`
	Mask     blockmask.Mask `json:"mask"`
	Context  int            `json:"n_ctx"`
	Tasks    []taskJSON     `json:"tasks"`
	Mean     *meanJSON      `json:"mean,omitempty"`
}

// taskJSON is the accuracy on one task.
type taskJSON struct {
	Task         string       `json:"task"`
	File         string       `json:"file"`
	Convention   string       `json:"convention"`
	Items        int          `json:"items"`
	Skipped      int          `json:"skipped"`
	Truncated    int          `json:"truncated"`
	Chance       float64      `json:"chance"`
	Correct      int          `json:"correct"`
	Acc          float64      `json:"acc"`
	Interval     intervalJSON `json:"acc_interval"`
	NormBy       string       `json:"norm_by,omitempty"`
	CorrectNorm  *int         `json:"correct_norm,omitempty"`
	AccNorm      *float64     `json:"acc_norm,omitempty"`
	NormInterval intervalJSON `json:"acc_norm_interval,omitempty"`
}

// meanJSON is the mean over the tasks.
type meanJSON struct {
	Acc          float64      `json:"acc"`
	Interval     intervalJSON `json:"acc_interval"`
	AccNorm      float64      `json:"acc_norm"`
	NormInterval intervalJSON `json:"acc_norm_interval"`
	Chance       float64      `json:"chance"`
}

// intervalJSON is a lower and an upper end.
type intervalJSON []float64

func newIntervalJSON(i tasks.Interval) intervalJSON { return intervalJSON{i.Low, i.High} }

func newEvalJSON(out *pipeline.EvalOutcome, mask blockmask.Mask) evalJSON {
	j := evalJSON{
		Command: "eval", Tool: Version(), LlamaCpp: llamaVersion(), Model: out.Model, Mask: mask, Context: out.Context, Tasks: []taskJSON{},
	}
	for i, r := range out.Results {
		t := taskJSON{
			Task: r.Task.Name, File: out.Files[i], Convention: string(r.Task.Convention), Items: len(r.Answers), Skipped: r.Task.Skipped,
			Truncated: r.Truncated, Chance: r.Task.Chance(), Correct: r.Correct, Acc: r.Accuracy, Interval: newIntervalJSON(r.Interval),
			NormBy: string(r.Task.Norm),
		}
		if r.Task.Norm != tasks.NoNorm {
			t.CorrectNorm, t.AccNorm, t.NormInterval = &r.CorrectNorm, &r.Norm, newIntervalJSON(r.NormSpan)
		}
		j.Tasks = append(j.Tasks, t)
	}
	if len(out.Results) > 1 {
		m := newMeans(out.Results)
		j.Mean = &meanJSON{m.acc, newIntervalJSON(m.interval), m.headline, newIntervalJSON(m.headlineInterval), m.chance}
	}
	return j
}
