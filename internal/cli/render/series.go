package render

import (
	"errors"

	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

// Series prints the files that one run of apply writes, each when it is done.
type Series struct {
	u       *ui.UI
	results []resultJSON
	err     error
}

// NewSeries returns an empty series that prints on u.
func NewSeries(u *ui.UI) *Series { return &Series{u: u, results: []resultJSON{}} }

// Add prints one file.
func (s *Series) Add(out *pipeline.Outcome) {
	if len(s.results) > 0 {
		s.u.Resultf("")
	}
	s.u.Resultf("steps   %d of %d, removed %s", len(out.Steps), len(out.Plan.Steps), out.Removed)
	Written(s.u, out)
	s.err = errors.Join(s.err, printPublication(s.u, out.Publish))
	s.results = append(s.results, newResultJSON("apply", out, ""))
}

// Done prints the JSON object of all files, unless there is an error: err, the run's, or one of making a model in Ollama.
func (s *Series) Done(err error) error {
	if err := errors.Join(err, s.err); err != nil {
		return err
	}
	return s.u.JSON(seriesJSON{Command: "apply", Results: s.results})
}

// seriesJSON is printed by apply for several files.
type seriesJSON struct {
	Command string       `json:"command"`
	Results []resultJSON `json:"results"`
}
