package repair

import (
	"context"
	"math"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/selftext"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// OwnText is the name of what the model writes itself.
const OwnText = "the model's own text"

// ownShare of a fit of channels, beside the text that comes with the program, is what the model writes itself: it looks like what the
// model was trained on.
const ownShare = 0.25

// ownMost is the most tokens of it: they are written one after the other, which takes longer than reading them.
const ownMost = 16384

// ownLeast sequences are enough to fit and to hold some back, even if tokenising makes fewer tokens of the text.
const ownLeast = 6

// LoadOwn has the loaded model write text for a fit of channels from the beginning of a text on. Where the user names the
// texts, or where the model cannot, it has no documents, and the fit does without.
func LoadOwn(ctx context.Context, s *source.Source, q Request, sink progress.Sink) (*perplexity.Corpus, error) {
	none := perplexity.Special(OwnText, nil)
	if len(q.Options.Files) > 0 {
		return none, nil
	}
	first, ok := selftext.Beginning(s.Model)
	if !ok {
		return none, nil
	}
	length := source.DefaultContext(q.Text.Context, s.Model.Info())
	total := max(ownLeast*length, min(ownMost, int(ownShare*float64(q.Options.Tokens))))
	bar := sink.Start("the model writes text for the fit", int64(total))
	defer bar.Stop()
	texts, err := selftext.Texts(ctx, s.Model, s.Spec.Session(1, length, true), selftext.Options{
		Documents: math.MaxInt32, Total: total, Tokens: length, Temperature: 1, Seed: q.Text.Seed, Frame: [][]engine.Token{{first}},
	}, func(tokens int) { bar.Set(int64(min(total, tokens)), "") })
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		sink.Notef("the fit does without text of the model's own: %v", err)
		return none, nil
	}
	own := perplexity.Special(OwnText, texts)
	if _, err := fit.Cut(s.Model, []fit.Material{{Corpus: own, Share: 1}}, length, total, 1, 0); err != nil {
		sink.Notef("the fit does without text of the model's own: %v", err)
		return none, nil
	}
	sink.Notef("the model wrote %d texts for the fit, the first: %s", len(texts), selftext.Excerpt(texts[0]))
	return own, nil
}
