package repair

import (
	"context"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/corpus"
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

// OwnTokens is about how many tokens the model writes itself for a fit of channels on so many, in sequences of length.
func OwnTokens(r Options, length, tokens int) int {
	if len(r.Files) > 0 {
		return 0
	}
	return max(ownLeast*length, min(ownMost, int(ownShare*float64(tokens))))
}

// LoadOwn has the loaded model write text for a fit of channels: texts from their beginning on, and as much of conversations whose both
// sides it makes up, where it has a chat template that works. Where the user names the texts, or where the model cannot write,
// there are no documents, and the fit does without.
func LoadOwn(ctx context.Context, s *source.Source, q Request, sink progress.Sink) (*perplexity.Corpus, error) {
	none := perplexity.Special(OwnText, nil)
	if len(q.Options.Files) > 0 {
		return none, nil
	}
	length := source.DefaultContext(q.Text.Context, s.Model.Info())
	forms, err := ownForms(s, length)
	if err != nil {
		return nil, err
	}
	total := OwnTokens(q.Options, length, q.Options.Tokens)
	bar := sink.Start("the model writes text for the fit", int64(total))
	defer bar.Stop()
	var texts []string
	var why error
	for i, frames := range forms {
		written, err := selftext.Texts(ctx, s.Model, s.Spec.Session(1, length, true), selftext.Options{
			Total: total / len(forms), Tokens: length, Temperature: 1, Seed: q.Text.Seed, Frames: frames,
		}, func(tokens int) { bar.Set(int64((i*total+min(total, tokens))/len(forms)), "") })
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			why = err
		}
		texts = append(texts, written...)
	}
	own := perplexity.Special(OwnText, texts)
	if len(texts) > 0 {
		_, why = fit.Cut(s.Model, []fit.Material{{Corpus: own, Share: 1}}, fit.Few, length, total, 1, 0)
	}
	if why != nil {
		sink.Notef("the fit does without text of the model's own: %v", why)
	}
	if why != nil || len(texts) == 0 {
		return none, nil
	}
	sink.Notef("the model wrote %d texts for the fit, the first: %s", len(texts), selftext.Excerpt(texts[0]))
	return own, nil
}

// ownForms are the forms of what a model writes: texts from their beginning on; and, where it has a chat template that works,
// conversations whose both sides it makes up, and answers to what the built-in texts ask.
func ownForms(s *source.Source, length int) (out [][][][]engine.Token, err error) {
	if first, ok := selftext.Beginning(s.Model); ok {
		out = append(out, [][][]engine.Token{{{first}}})
	}
	if s.Model.Info().ChatTemplate == "" {
		return out, nil
	}
	chat, err := calibrate.ChatFrame(s)
	if err != nil || 2*len(chat[0]) > length {
		return out, nil //nolint:nilerr // no conversations, then
	}
	questions, err := corpus.Questions()
	if err != nil {
		return nil, err
	}
	var asked [][][]engine.Token
	for _, question := range questions {
		tokens, err := s.Model.Tokenize(question, false, false)
		if err != nil {
			return nil, err
		}
		if frame := slices.Concat(chat[0], tokens, chat[1]); 2*len(frame) <= length {
			asked = append(asked, [][]engine.Token{frame})
		}
	}
	out = append(out, [][][]engine.Token{chat})
	if len(asked) > 0 {
		out = append(out, asked)
	}
	return out, nil
}
