package cli

import "github.com/ggufprune/ggufprune/internal/pipeline"

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

func newReportFilesJSON(r *pipeline.WrittenReport) *reportFilesJSON {
	if r == nil {
		return nil
	}
	return &reportFilesJSON{Page: r.Page, Card: r.Card, Charts: r.Charts}
}
