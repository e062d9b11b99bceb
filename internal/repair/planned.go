package repair

import (
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Positions returns a function that says about how many positions a fit of channels runs on when it is asked for so many tokens, in
// sequences of length: of each kind of text it takes a few sequences at least. Text that the model is still to write counts, too.
func (q Request) Positions(length int) (of func(tokens int) int, err error) {
	if q.Own == nil && len(q.Options.Files) == 0 {
		q.Own = perplexity.Special(OwnText, []string{""})
	}
	all, err := q.Materials()
	if err != nil {
		return nil, err
	}
	return func(tokens int) int { return fit.Planned(all, length, tokens) }, nil
}
