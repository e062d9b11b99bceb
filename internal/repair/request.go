package repair

import (
	"context"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/internal/retype"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Options say how weights are re-fitted before a file is written.
type Options struct {
	Method fit.Method // Off or "": not at all
	Files  []string   // texts to fit on; none: the calibration text and the one that comes with the program
	Tokens int        // positions in all

	Chat calibrate.Chat // whether conversations among the texts are put into the model's chat template; "": auto

	TokensGiven bool       // Tokens is the user's number, not the default
	Usual       bool       // the default, not asked for: where it cannot be done the file is written without
	Type        *gguf.Type // what lower types of the tensors that it changes are raised to; nil: none are
}

// DefaultTokens is how many positions a repair is fitted on and chosen by.
const DefaultTokens = 81920

// repairBatch is how many positions run at once.
const repairBatch = 1024

// Twin returns the types of a copy of the model in which the fits are computed faster; nil where none is worth it.
func (r Options) Twin(s *source.Source) retype.Twin {
	if r.Type != nil { // what is fitted has another type than the file
		return nil
	}
	return retype.ForFit(s)
}

// Wanted reports whether there is to be a repair.
func (r Options) Wanted() bool { return r.Method != "" && r.Method != fit.Off }

// Request asks for a repair of the loaded model.
type Request struct {
	Blocks  []layout.Block
	Removed blockmask.Mask          // of an FFN that keeps some channels, they are fitted
	Widths  map[blockmask.Block]int // FFNs that lose channels which the fit chooses: how many each keeps
	Options Options
	Text    corpus.Text
	Tool    string                      // version of this program
	Anew    bool                        // what another repair of the same output has left is replaced
	Twin    retype.Twin                 // that is loaded
	Decided bool                        // whether there is a twin: none is made
	Own     *perplexity.Corpus          // text of the model's own for a fit of channels; nil: it is still to be written
	Trial   bool                        // only to see what is lost: the model stays as it is
	Judge   func(context.Context) error // is called while the loaded model has the fit's weights; nil: it is not
	Spent   *time.Duration              // what choosing channels and solving takes is added to it; nil: that is not wanted
	Compare bool                        // the divergence from the whole model is measured, too
	Output  string                      // the file that the repair is for: what is done is kept beside it until it is written; "": in the current folder
}

// Done is a repair that was made, or was not.
type Done struct {
	Result *fit.Result          // nil: none was asked for, or nothing could be repaired
	Record *layout.RepairRecord // what the written file says of it; nil where nothing is changed
	Kinds  []plan.Kind          // what kinds of text lose where channels go
	Raised map[string]gguf.Type // of repaired tensors in another type than the source's, by their names there

	log *repairlog.Log
}

// Close gives what is kept of the repair free; it stays for a later run.
func (d *Done) Close() error { return d.log.Close() }

// Remove deletes what is kept of the repair, when the file that it led to is on disk.
func (d *Done) Remove() error { return d.log.Remove() }
