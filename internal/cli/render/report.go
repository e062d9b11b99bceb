package render

import (
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/internal/version"
)

// Report names the files that report wrote, and prints the JSON object. plan is the plan that they are about.
func Report(u *ui.UI, plan string, out *report.Outcome) error {
	printFiles(u, out.Written)
	return u.JSON(newReportJSON(plan, out))
}

// printFiles names the files of a report; nil is none.
func printFiles(u *ui.UI, r *report.Written) {
	if r == nil {
		return
	}
	if r.Page != "" {
		u.Resultf("report  %s", r.Page)
	}
	if r.Card != "" {
		u.Resultf("card    %s", r.Card)
	}
	for i, chart := range r.Charts {
		if i == 0 {
			u.Resultf("charts  %s", chart)
		} else {
			u.Resultf("        %s", chart)
		}
	}
}

// reportJSON is printed by report.
type reportJSON struct {
	Command string           `json:"command"`
	Tool    string           `json:"tool"`
	Plan    string           `json:"plan"`
	Steps   int              `json:"steps"`
	Report  *reportFilesJSON `json:"report"`
}

// reportFilesJSON names the files of a report.
type reportFilesJSON struct {
	Page   string   `json:"page,omitempty"`
	Card   string   `json:"markdown,omitempty"`
	Charts []string `json:"charts,omitempty"`
}

func newReportJSON(plan string, out *report.Outcome) reportJSON {
	return reportJSON{Command: "report", Tool: version.Tool(), Plan: plan, Steps: out.Steps, Report: newReportFilesJSON(out.Written)}
}

func newReportFilesJSON(r *report.Written) *reportFilesJSON {
	if r == nil {
		return nil
	}
	return &reportFilesJSON{Page: r.Page, Card: r.Card, Charts: r.Charts}
}
