package find

import (
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/narrow"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// Options say what a search is for, and how it decides.
type Options struct {
	Unit        blockmask.Unit
	Goal        search.Goal
	Method      Method
	Calibration calibrate.Options
}

// Job asks what to remove from a source.
type Job struct {
	Options
	Text   corpus.Text          // to score on
	Layout layout.Kind          // sizes are those of files with this layout
	Repair repair.Options       // what a file would say of it counts in its size; its texts are what the strategy aware looks at
	Plan   string               // where the plan is saved, with a journal beside it while the search runs; "" is nowhere
	Tool   string               // version of this program
	Types  map[string]gguf.Type // that tensors are quantised to when the file is written; nil: they stay as they are
	After  int                  // positions that what follows the search and the repair runs through the model: for Method.Time
	Writes bool                 // a file is written of what is found, with a repair if Repair says so: in Method.Time, too
	Tasks  narrow.Tasks         // that shapes of FFNs are judged by, too; none where there are no sets
	Output string               // the file that is to be written: a fit that is part of the search is kept beside it; "" has no name yet
}

// Result is what was found.
type Result struct {
	Plan    *plan.Plan
	Blocks  []layout.Block // of the source
	Removed blockmask.Mask
	Fitted  *repair.Done   // where the search has fitted already what it found; nil where it has not
	Repair  repair.Options // the job's, less what Method.Time leaves no time for
}

// Method says how a search decides.
type Method struct {
	Strategy   string            // one of strategy.Names; "" is the first
	Metric     perplexity.Metric // of the scores
	Confidence float64           // of races; 0 is strategy.DefaultConfidence
	Time       time.Duration     // that the search may take; 0 is as long as it takes
	Seed       uint64            // of what is drawn
}

// Spec is what the table of strategies says of the method's; nothing of a name that is not in it.
func (m Method) Spec() strategy.Spec {
	s, _ := strategy.Find(m.Strategy) //nolint:errcheck // a search of that name fails when it is prepared
	return s
}

// searchJournal is a journal of a search.
type searchJournal = journal.Journal[search.Measurement]

// finder is a search under way.
type finder struct {
	Job
	src      *source.Source
	session  engine.Session
	set      *perplexity.Set
	blocks   []layout.Block
	journal  *searchJournal // nil without a plan
	twin     bool           // the loaded model is a copy that is computed faster
	mapped   bool           // before it the model's file was mapped
	position float64        // seconds of a position through the model itself; 0: not measured
	began    time.Time      // the job
	grain    int            // of the widths of FFNs, where they are narrowed
	sink     progress.Sink
}
