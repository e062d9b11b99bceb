package render

import (
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
)

// Eval prints accuracies and their JSON object. mask is what was left out of the model.
func Eval(u *ui.UI, out *evaluate.TasksOutcome, mask blockmask.Mask) error {
	printEval(u, out)
	return u.JSON(newEvalJSON(out, mask))
}

// printEval prints the table, and what is to be known of its numbers.
func printEval(u *ui.UI, out *evaluate.TasksOutcome) {
	percent := func(p float64) string { return fmt.Sprintf("%.2f%%", 100*p) }
	interval := func(i tasks.Interval) string { return fmt.Sprintf("%.2f-%.2f", 100*i.Low, 100*i.High) }
	var rows [][]any
	for _, r := range out.Results {
		norm, span := "", ""
		if r.Task.Norm != tasks.NoNorm {
			norm, span = percent(r.Norm), interval(r.NormSpan)
		}
		rows = append(rows, []any{
			r.Task.Name, len(r.Answers), percent(r.Accuracy), interval(r.Interval), norm, span, percent(r.Task.Chance()), r.Task.Convention,
		})
	}
	if len(out.Results) > 1 {
		m := newMeans(out.Results)
		rows = append(rows, []any{
			"mean", "", percent(m.acc), interval(m.interval), percent(m.headline), interval(m.headlineInterval), percent(m.chance), "",
		})
	}
	u.Table("", []ui.Column{
		{Head: "task"},
		{Head: "items", Number: true},
		{Head: "acc", Number: true},
		{Head: "95%", Number: true},
		{Head: "acc_norm", Number: true},
		{Head: "95%", Number: true},
		{Head: "chance", Number: true},
		{Head: "as"},
	}, rows)
	for i, r := range out.Results {
		if r.Truncated > 0 {
			u.Warnf("%s: %d of %d items are longer than the context of %d tokens and lost their beginning", out.Files[i], r.Truncated, len(r.Answers), out.Context)
		}
		if r.Task.Skipped > 0 {
			u.Notef("%s: %d lines hold no item and were left out", out.Files[i], r.Task.Skipped)
		}
	}
}

// means are over the tasks.
type means struct {
	acc, headline, chance      float64
	interval, headlineInterval tasks.Interval
}

func newMeans(results []*tasks.Result) means {
	var m means
	var acc, headline []float64
	var accSpans, headlineSpans []tasks.Interval
	for _, r := range results {
		p, i := r.Headline()
		acc, accSpans = append(acc, r.Accuracy), append(accSpans, r.Interval)
		headline, headlineSpans = append(headline, p), append(headlineSpans, i)
		m.chance += r.Task.Chance() / float64(len(results))
	}
	m.acc, m.interval = tasks.Mean(acc, accSpans)
	m.headline, m.headlineInterval = tasks.Mean(headline, headlineSpans)
	return m
}

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

func newEvalJSON(out *evaluate.TasksOutcome, mask blockmask.Mask) evalJSON {
	j := evalJSON{
		Command: "eval", Tool: version.Tool(), LlamaCpp: out.LlamaCpp, Model: out.Model, Mask: mask, Context: out.Context, Tasks: []taskJSON{},
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

// pplJSON is printed by ppl.
type pplJSON struct {
	Command    string         `json:"command"`
	Model      string         `json:"model"`
	Mask       blockmask.Mask `json:"mask"`
	Text       string         `json:"text"`
	Convention string         `json:"convention"`
	Context    int            `json:"n_ctx"`
	Sequences  int            `json:"sequences"`
	Scored     int            `json:"scored_tokens"`
	PPL        *float64       `json:"ppl"`
	StdErr     *float64       `json:"ppl_stderr"`
}

// PPL prints a perplexity and its JSON object. mask is what was left out of the model.
func PPL(u *ui.UI, out *evaluate.PPLOutcome, mask blockmask.Mask) error {
	u.Resultf("%s", out.Estimate)
	return u.JSON(newPPLJSON(out, mask))
}

func newPPLJSON(out *evaluate.PPLOutcome, mask blockmask.Mask) pplJSON {
	e := out.Estimate
	return pplJSON{
		Command: "ppl", Model: out.Model, Mask: mask, Text: out.Corpus, Convention: string(e.Convention), Context: out.Context,
		Sequences: e.Sequences, Scored: e.Scored, PPL: jsonnum.Known(e.PPL), StdErr: jsonnum.Known(e.StdErr),
	}
}
