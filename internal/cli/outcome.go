package cli

import (
	"fmt"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// printOutcome prints what prune, search or apply did. plan is the file that the plan was saved in, if any.
func printOutcome(u *ui.UI, command string, out *pipeline.Outcome, plan string) error {
	printSteps(u, out)
	printWritten(u, out)
	if plan != "" {
		u.Resultf("plan     %s", plan)
	}
	printNext(u, out, plan)
	return u.JSON(newOutcomeJSON(command, out, plan))
}

// printSteps prints the table of removals.
func printSteps(u *ui.UI, out *pipeline.Outcome) {
	if len(out.Steps) == 0 {
		return
	}
	base := out.Plan.Base
	rows := [][]any{{"", "none", formatScore(base), "1.000", "0.0%", formatSize(out.Model.Bytes)}}
	for _, s := range out.Steps {
		size := "?"
		if s.Size > 0 {
			size = formatSize(s.Size)
		}
		rows = append(rows, []any{s.Index, s.Removed, formatScore(s.Score), fmt.Sprintf("%.3f", s.Score/base), fmt.Sprintf("%.1f%%", 100*s.Ratio), size})
	}
	u.Table("", []ui.Column{
		{Head: "step", Number: true}, {Head: "removed"}, {Head: "PPL", Number: true}, {Head: "x", Number: true},
		{Head: "params gone", Number: true}, {Head: "file", Number: true},
	}, rows)
	u.Resultf("PPL is on %s (%s), convention %s", out.Plan.Calibration.Description, "calibration", out.Plan.Calibration.Convention)
	u.Resultf("")
}

// printWritten prints the file and its check.
func printWritten(u *ui.UI, out *pipeline.Outcome) {
	w := out.Write
	if w == nil {
		return
	}
	u.Resultf("removed  %s", out.Removed)
	u.Resultf("written  %s", w.Path)
	u.Resultf("size     %s of %s (%.1f%%), %s of %s parameters",
		formatSize(w.Bytes), formatSize(out.Model.Bytes), 100*float64(w.Bytes)/float64(out.Model.Bytes),
		formatCount(w.Layout.ParamsTotal-w.Layout.ParamsRemoved), formatCount(w.Layout.ParamsTotal))
	u.Resultf("layout   %s, %d of %d layers", w.Layout.Kind, len(w.Layout.Layers), out.Model.Layers)
	if c := w.Check; c != nil {
		u.Resultf("check    ok: %d positions, log-probabilities differ by at most %.3g (NMSE %.2g); PPL %.4f, masked original %.4f",
			c.Rows, c.MaxAbsDiff, c.NMSE, c.Written.PPL, c.Masked.PPL)
		u.Resultf("         +/- %.5f, on %s in windows of %d", c.Written.StdErr, c.Text, c.Context)
	}
}

// printNext says what to type next.
func printNext(u *ui.UI, out *pipeline.Outcome, plan string) {
	switch {
	case out.Write != nil:
		u.Resultf("next     llama-cli -m %s", out.Write.Path)
	case plan != "":
		u.Resultf("next     ggufprune apply -m %s --plan %s", out.Model.Path, plan)
	}
}
