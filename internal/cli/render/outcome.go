package render

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Outcome prints what prune, search, apply or repair did, and its JSON object. plan is where the plan was saved, "" for nowhere;
// reported names the files of a report, nil without one. What Ollama has not got is an error, after everything else is printed: the file
// is there all the same.
func Outcome(u *ui.UI, command string, out *prune.Outcome, plan string, reported *report.Written) error {
	Steps(u, out)
	printSummary(u, out)
	if plan != "" {
		u.Resultf("plan    %s", plan)
	}
	if out.Order != "" {
		u.Resultf("order   %s", out.Order)
	}
	var unpublished error
	if out.Write != nil {
		Written(u, out)
		unpublished = printPublication(u, out.Publish)
		if out.Comparison != nil {
			u.Resultf("")
			printBriefly(u, out.Comparison)
		}
		printFiles(u, reported)
		printNext(u, out.Write.Path)
	}
	result := newResultJSON(command, out, plan)
	result.Report = newReportFilesJSON(reported)
	if err := u.JSON(result); err != nil {
		return err
	}
	return unpublished
}

// Steps prints the table of what was removed in which order.
func Steps(u *ui.UI, out *prune.Outcome) {
	if out.Plan == nil {
		u.Resultf("removed %s", maskText(out.Removed, maxMaskText))
		return
	}
	p := out.Plan
	scored, kld := p.Order == "", p.Metric == perplexity.KLD.String()
	fast := false // is there a speed to show
	for _, s := range out.Steps {
		fast = fast || s.Speedup > 0
	}
	row := func(step any, removed string, score, ratio, gone, speed, file string) []any {
		cells := []any{step, removed}
		if scored {
			cells = append(cells, score)
		}
		if scored && !kld {
			cells = append(cells, ratio)
		}
		cells = append(cells, gone)
		if fast {
			cells = append(cells, speed)
		}
		return append(cells, file)
	}
	rows := [][]any{row("", "none", fmt.Sprintf("%.4f", p.Base), "", "0.0%", "", format.Size(out.Model.Bytes))}
	estimated := false
	for _, s := range out.Steps {
		size, mark := "", ""
		if s.Size > 0 {
			size = format.Size(s.Size)
		}
		if s.Sequences() > 0 {
			mark, estimated = "~", true
		}
		rows = append(rows, row(s.Index, maskText(s.Removed, maxStepText), mark+fmt.Sprintf("%.4f", s.Score), fmt.Sprintf("x%.3f", s.Score/p.Base),
			fmt.Sprintf("%.1f%%", 100*s.Ratio), fmt.Sprintf("x%.2f", s.Speedup), size))
	}
	columns := []ui.Column{{Head: "step", Number: true}, {Head: "removed"}}
	switch {
	case kld:
		columns = append(columns, ui.Column{Head: "KLD", Number: true})
	case scored:
		columns = append(columns, ui.Column{Head: "PPL", Number: true}, ui.Column{Head: "ratio", Number: true})
	}
	columns = append(columns, ui.Column{Head: "parameters gone", Number: true})
	if fast {
		columns = append(columns, ui.Column{Head: "speed", Number: true})
	}
	title := "Calibration: " + p.Calibration.Description
	if !scored {
		title = "Order: " + p.Order
	}
	u.Table(title, append(columns, ui.Column{Head: "file", Number: true}), rows)
	if estimated {
		u.Resultf("~ is an estimate from a part of the text")
	}
	if n := p.Settings.Sequences; n > 0 {
		u.Resultf("to be done in time, %d of the %d sequences were used", n, p.Calibration.Sequences)
	}
	printSearch(u, out)
	printFit(u, p)
}

// printFit prints what was tried where FFNs are narrowed, and what kinds of text lose.
func printFit(u *ui.UI, p *plan.Plan) {
	if len(p.Shapes) > 0 {
		accuracies := slices.ContainsFunc(p.Shapes, func(s plan.Shape) bool { return s.Accuracy != nil })
		var rows [][]any
		for _, s := range p.Shapes {
			mark := ""
			if s.Chosen {
				mark = "*"
			}
			row := []any{mark, s.Name, s.Keeps, percent(s.Ratio), predicted(s.Speedup), known(s.Mixers), fmt.Sprintf("x%.3f", math.Exp(s.Loss)), divergence(s.KLD)}
			switch {
			case s.Accuracy != nil:
				row = append(row, percent(*s.Accuracy))
			case accuracies:
				row = append(row, "")
			}
			rows = append(rows, row)
		}
		u.Resultf("")
		columns := []ui.Column{
			{Head: ""},
			{Head: "shape"},
			{Head: "every FFN keeps"},
			{Head: "parameters gone", Number: true},
			{Head: "speed", Number: true},
			{Head: "KV cache", Number: true},
			{Head: "PPL", Number: true},
			{Head: "KLD", Number: true},
		}
		if accuracies {
			columns = append(columns, ui.Column{Head: "accuracy", Number: true})
		}
		u.Table("Shapes tried, each after a short fit (* was taken):", columns, rows)
	}
	printKinds(u, p)
	if len(p.Tasks) > 0 {
		var rows [][]any
		before, after := 0.0, 0.0
		for _, t := range p.Tasks {
			before, after = before+t.Before/float64(len(p.Tasks)), after+t.After/float64(len(p.Tasks))
			rows = append(rows, []any{t.Name, t.Items, percent(t.Before), percent(t.After)})
		}
		if len(rows) > 1 {
			rows = append(rows, []any{"mean", "", percent(before), percent(after)})
		}
		u.Table("Accuracy:", []ui.Column{
			{Head: "task"}, {Head: "items", Number: true}, {Head: "before", Number: true}, {Head: "after", Number: true},
		}, rows)
		u.Resultf("")
	}
}

// percent is a part in percent.
func percent(part float64) string { return fmt.Sprintf("%.1f%%", 100*part) }

// printKinds prints what kinds of text lose.
func printKinds(u *ui.UI, p *plan.Plan) {
	if len(p.Kinds) > 0 {
		var rows [][]any
		for _, k := range p.Kinds {
			rows = append(rows, []any{k.Describe(), fmt.Sprintf("%.2f", k.Before), fmt.Sprintf("%.2f", k.After), fmt.Sprintf("x%.3f", k.Ratio())})
		}
		u.Resultf("")
		u.Table("Text held back from the fit:", []ui.Column{
			{Head: "kind"}, {Head: "PPL before", Number: true}, {Head: "after", Number: true}, {Head: "ratio", Number: true},
		}, rows)
		u.Resultf("")
	}
}

// predicted is a speed, "" for an unknown one.
func predicted(speedup float64) string {
	if speedup == 0 {
		return ""
	}
	return fmt.Sprintf("x%.2f", speedup)
}

// divergence is one in nats, "" for an unknown one.
func divergence(kld float64) string {
	if kld == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", kld)
}

// known is a part in percent, "" for an unknown one.
func known(part float64) string {
	if part == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*part)
}

// printSearch prints what the search says of itself.
func printSearch(u *ui.UI, out *prune.Outcome) {
	p := out.Plan
	cost, paper := 0.0, 0.0
	for _, s := range out.Steps {
		cost, paper = cost+s.Cost, paper+s.PaperCost
	}
	if r := p.Refine; r != nil {
		change := 100 * (r.Validation/r.StartValidation - 1)
		u.Resultf("refine  %d exchanges in %d generations; on the half of the text that no decision used, %+.2f%%", r.Accepted, r.Generations, change)
	} else if cost > 0 && paper > 0 {
		u.Resultf("search  %s, %.0f%% of what a full pass for every candidate takes", p.Settings.Strategy, 100*cost/paper)
	}
	if a := p.Audit; a != nil && a.Audits > 0 {
		u.Resultf("audit   %s", auditText(a))
	}
	if a := p.Audit; a != nil && a.Regret > search.MostRegret {
		u.Warnf("%s", regretText(a.Regret, p))
	}
}

// regretText says that a search saw too little text, and what that may have cost.
func regretText(regret float64, p *plan.Plan) string {
	cost := fmt.Sprintf("%.0f%% of perplexity", 100*math.Expm1(regret))
	if p.Metric == perplexity.KLD.String() {
		cost = fmt.Sprintf("%.2f nats of divergence", regret)
	}
	n, more := p.Calibration.Sequences, "more text (-f, --chunks)"
	if used := p.Settings.Sequences; used > 0 && used < n {
		n, more = used, "a longer --time"
	}
	return fmt.Sprintf("%d sequences are few for this search: noise in its choices may have cost up to about %s; %s makes that less", n, cost, more)
}

// auditText says how often racing was wrong where that was looked at.
func auditText(a *search.Audit) string {
	steps := fmt.Sprintf("%d audited steps", a.Audits)
	if a.Audits == 1 {
		steps = "1 audited step"
	}
	if a.Missed+a.Lost == 0 {
		return "of " + steps + " racing would have missed none"
	}
	return fmt.Sprintf("of %s racing would have missed the best block in %d, by at most %.4f nats", steps, a.Missed+a.Lost, a.WorstLoss)
}

// Written prints the written file, its repair, its check and its quantisation.
func Written(u *ui.UI, out *prune.Outcome) {
	printRepair(u, out)
	w := out.Write
	u.Resultf("output  %s", w.Path)
	u.Resultf("        %s (was %s), %s parameters (%s gone), layout %s", format.Size(w.Bytes), format.Size(out.Model.Bytes),
		format.Count(w.Layout.Params), percent(w.Layout.Gone()), w.Layout.Kind)
	u.Resultf("        SHA-256 %s", w.SHA256)
	defer printQuantized(u, w)
	k := w.Check
	if k == nil {
		u.Resultf("check   none")
		return
	}
	u.Resultf("check   passed: %s over %d positions", differenceText(k), k.Rows)
	u.Resultf("        PPL %.4f written, %.4f masked original (%s)", k.Written.PPL, k.Masked.PPL, evaluationText(k))
}

func differenceText(k *write.Check) string {
	if k.MaxAbsDiff == 0 {
		return "identical log-probabilities"
	}
	return fmt.Sprintf("log-probabilities differ by at most %.2g, NMSE %.2g,", k.MaxAbsDiff, k.NMSE)
}

// usualUBatch is what llama-perplexity takes without -ub.
const usualUBatch = 512

// evaluationText names what the check's perplexities are of, so that llama-perplexity can repeat them.
func evaluationText(k *write.Check) string {
	if k.Written.Convention == perplexity.Windows {
		batch := fmt.Sprintf("-b %d", k.Batch)
		if k.Batch > usualUBatch {
			batch += fmt.Sprintf(" -ub %d", k.Batch)
		}
		return fmt.Sprintf("%s, windows, -c %d %s --chunks %d", k.Text, k.Context, batch, k.Written.Sequences)
	}
	return fmt.Sprintf("%s, samples of up to %d tokens", k.Text, k.Context)
}

// Series prints the files that one run of apply writes, each when it is done.
type Series struct {
	u       *ui.UI
	results []resultJSON
	err     error
}

// NewSeries returns an empty series that prints on u.
func NewSeries(u *ui.UI) *Series { return &Series{u: u, results: []resultJSON{}} }

// Add prints one file.
func (s *Series) Add(out *prune.Outcome) {
	if len(s.results) > 0 {
		s.u.Resultf("")
	}
	s.u.Resultf("steps   %d of %d, removed %s", len(out.Steps), len(out.Plan.Steps), maskText(out.Removed, maxMaskText))
	Written(s.u, out)
	s.err = errors.Join(s.err, printPublication(s.u, out.Publish))
	s.results = append(s.results, newResultJSON("apply", out, ""))
}

// Done prints the JSON object of all files, unless err, the run's error, says that some are missing. What Ollama has not got is an error
// after that.
func (s *Series) Done(err error) error {
	if err == nil {
		err = s.u.JSON(seriesJSON{Command: "apply", Results: s.results})
	}
	return errors.Join(err, s.err)
}
