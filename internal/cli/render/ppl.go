package render

import (
	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/pipeline"
	"github.com/ggufprune/ggufprune/internal/ui"
)

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
func PPL(u *ui.UI, out *pipeline.PPLOutcome, mask blockmask.Mask) error {
	u.Resultf("%s", out.Estimate)
	return u.JSON(newPPLJSON(out, mask))
}

func newPPLJSON(out *pipeline.PPLOutcome, mask blockmask.Mask) pplJSON {
	e := out.Estimate
	return pplJSON{
		Command: "ppl", Model: out.Model, Mask: mask, Text: out.Corpus, Convention: string(e.Convention), Context: out.Context,
		Sequences: e.Sequences, Scored: e.Scored, PPL: number(e.PPL), StdErr: number(e.StdErr),
	}
}
