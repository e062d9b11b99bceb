package page

import (
	"github.com/ggufprune/ggufprune/search/plan"
)

// Input is all that a report tells. Only Plan must be there.
type Input struct {
	Plan     *plan.Plan
	PlanPath string // of the plan's file; "" is none
	Steps    int    // how many of the plan's steps were carried out; 0 is all

	Source *Model // the whole model's file, where it was read
	Pruned *Model // the written file, where there is one
	Check  *Check // what its check found; nil without one

	Tables   []Table    // comparisons of the models, in the order of the page
	Measured []Measured // what was measured on text that the search did not use

	Command []string // the command line that made this, program first; empty is unknown
	Charts  string   // where the card finds the charts' files, as a URL's path relative to the card; "" is nowhere
}

// Model is a GGUF file.
type Model struct {
	Path   string
	SHA256 string // hex, "" is unknown
	Bytes  int64
	Params uint64
	Layout string // of a pruned file: native, deci or zeros
	Meta   Meta
	Repair *Repair // of a repaired file
}

// Repair is what a repair changed, as the file's metadata says it.
type Repair struct {
	Tensors       int      // how many were re-fitted
	Types         []string // what their types were raised to, each once; nil: each kept its own
	Text          string   // what they were fitted on
	Before, After float64  // perplexity on the part held back from the fit; 0 is unknown
}

// Meta is what a model's metadata says about it; what is not there is empty.
type Meta struct {
	Name         string // general.name
	Author       string // general.author, or the organization
	License      string // general.license
	LicenseName  string // general.license.name
	LicenseLink  string // general.license.link
	Repository   string // a URL of the model
	BaseURL      string // a URL of the model that it was made from, by general.base_model.0
	Tags         []string
	Languages    []string
	Quantization string // by the file's name for it: Q4_K_M
}

// Check is how the written file compares with the masked original: see write.Check.
type Check struct {
	Positions  int
	MaxAbsDiff float64 // of log-probabilities, in nats
	NMSE       float64
	Text       string // what the perplexities are of
	Convention string
	Context    int
	Sequences  int
	Masked     float64 // perplexity of the original with the blocks left out
	Written    float64 // of the written file
	StdErr     float64 // of Written; 0 is unknown
}

// Table is a comparison: a column for each model and a row for each quantity, as text.
type Table struct {
	Title   string
	Caption string   // what it was measured on
	Columns []string // heads of the columns of cells
	Rows    []Row
	Note    string // below it
}

// Row is one quantity of a table.
type Row struct {
	Label string
	Cells []string
}

// Role says which of the compared models one is.
type Role string

// The roles: the whole model, the pruned one, the same with re-fitted weights, and the whole model quantised to about the pruned one's
// size.
const (
	Original Role = "original"
	Pruned   Role = "pruned"
	Repaired Role = "pruned + repaired"
	Rival    Role = "rival"
)

// Measured is one model's perplexity on text that the search did not use.
type Measured struct {
	Role   Role
	Name   string
	Bytes  int64
	PPL    float64
	StdErr float64 // of PPL; 0 is unknown
	KLD    float64 // mean, to the original, in nats; 0 is unknown
	Speed  float64 // generated tokens per second; 0 is unknown
	Note   string  // what to know before believing it, in sentences; "" for nothing
}

// steps returns how many steps were carried out.
func (in Input) steps() int {
	if in.Steps <= 0 || in.Steps > len(in.Plan.Steps) {
		return len(in.Plan.Steps)
	}
	return in.Steps
}

// written returns the model that was written: the repaired one where there is one.
func (in Input) written() (Measured, bool) {
	if m, ok := in.measured(Repaired); ok {
		return m, true
	}
	return in.measured(Pruned)
}

// measured returns the model of that role.
func (in Input) measured(role Role) (Measured, bool) {
	for _, m := range in.Measured {
		if m.Role == role {
			return m, true
		}
	}
	return Measured{}, false
}
