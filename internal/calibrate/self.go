package calibrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/selftext"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// SelfDocuments are written for a search where the user does not say how many.
const SelfDocuments = 128

// writeSelf has the model write the calibration: conversations, of which it makes up both sides, where it has a chat template
// that works, else texts from BOS on. A chat template that cannot be used is an error only if the user insists on it.
func (w maker) writeSelf(ctx context.Context) (*perplexity.Corpus, *plan.SelfText, error) {
	m := w.src.Model
	frame, chat, err := w.selfFrame()
	if err != nil {
		return nil, nil, err
	}
	documents := w.text.Max
	if part := w.HeldOut; part > 0 {
		documents += max(4, int(part*float64(documents)))
	}
	o := selftext.Options{
		Documents: documents, Tokens: w.text.Context, Temperature: w.Temperature, Seed: w.text.Seed,
		Frames: [][][]engine.Token{frame},
	}
	if o.Tokens < 2*len(frame[0]) {
		return nil, nil, fmt.Errorf("a context of %d tokens has no room for the model's own text; give a larger -c", o.Tokens)
	}
	bar := w.sink.Start("the model writes its calibration", int64(o.Documents*o.Tokens))
	defer bar.Stop()
	texts, err := selftext.Texts(ctx, m, engine.SessionParams{Threads: w.src.Spec.Threads, FlashAttn: w.src.Spec.FlashAttn}, o,
		func(tokens int) { bar.Set(int64(tokens), "") })
	if err != nil {
		return nil, nil, err
	}
	w.sink.Notef("the model wrote %d documents itself (temperature %g, seed %d), the first: %s", len(texts), o.Temperature, o.Seed, selftext.Excerpt(texts[0]))
	return perplexity.Special("the model's own text", texts), &plan.SelfText{Seed: o.Seed, Temperature: o.Temperature, Chat: chat}, nil
}

// selfFrame returns what the model's documents are given: the opening of the user's turn, and from its end to the opening of the reply; or
// one token to begin with.
func (w maker) selfFrame() (frame [][]engine.Token, chat bool, err error) {
	m, mode := w.src.Model, cmp.Or(w.Chat, ChatAuto)
	if mode != ChatOff && m.Info().ChatTemplate != "" {
		if frame, err = ChatFrame(w.src); err == nil {
			return frame, true, nil
		}
		if mode == ChatAuto {
			w.sink.Notef("the model's chat template is not used, llama.cpp cannot apply it: %s", chatReason(err))
		}
	} else if err = errors.New("the model has none"); mode != ChatOn {
		err = nil
	}
	if mode == ChatOn {
		return nil, false, fmt.Errorf("--chat on: the model's chat template cannot be used: %s; use --chat off", chatReason(err))
	}
	first, ok := selftext.Beginning(m)
	if !ok {
		return nil, false, errors.New("the model has no token that begins a text, so it cannot write its own calibration; give a text with -f")
	}
	return [][]engine.Token{{first}}, false, nil
}

// ChatFrame cuts a conversation of one question, rendered by the model's template, where the question is: what comes before it, and
// what comes between it and the reply. An error is why the template cannot be used.
func ChatFrame(src *source.Source) ([][]engine.Token, error) {
	const question = "QUESTION-OF-THE-USER"
	m := src.Model
	chat, err := openChat(src)
	if err != nil {
		return nil, err
	}
	defer chat.Close()
	text, err := chat.Apply([]engine.Message{{Role: "user", Content: question}}, true)
	if err != nil {
		return nil, err
	}
	before, after, ok := strings.Cut(text, question)
	if !ok || strings.Contains(after, question) || strings.TrimSpace(after) == "" {
		return nil, errors.New("it does not render one question and the opening of a reply")
	}
	frame := make([][]engine.Token, 2)
	for i, part := range []string{before, after} {
		if frame[i], err = m.Tokenize(part, false, true); err != nil {
			return nil, err
		}
	}
	if bos := m.BOS(); bos >= 0 && m.AddBOS() && (len(frame[0]) == 0 || frame[0][0] != bos) {
		frame[0] = append([]engine.Token{bos}, frame[0]...)
	}
	if len(frame[0]) == 0 {
		return nil, errors.New("nothing comes before the user's words")
	}
	return frame, nil
}
