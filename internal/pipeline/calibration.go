package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Calibration says how a search's text fits its model, and what of it is held out.
type Calibration struct {
	Chat        ChatMode
	HeldOut     float64 // part of the user's text that the search does not see, 0 to 0.5
	Self        bool    // the model writes the text itself; Text.File is not used
	Temperature float64 // of that
}

// ChatMode says whether conversations are rendered by the model's chat template.
type ChatMode string

// The modes. ChatAuto is on where the text has conversations or instructions and the model has a template that works.
const (
	ChatAuto ChatMode = "auto"
	ChatOn   ChatMode = "on"
	ChatOff  ChatMode = "off"
)

// ChatModes lists the names of the modes.
func ChatModes() []string { return []string{string(ChatAuto), string(ChatOn), string(ChatOff)} }

// config is the part of a journal's header that identifies the calibration beyond its tokens.
func (c Calibration) config() any {
	return struct {
		Chat        ChatMode `json:"chat"`
		HeldOut     float64  `json:"held_out"`
		Self        bool     `json:"self,omitempty"`
		Temperature float64  `json:"temperature,omitempty"`
	}{cmp.Or(c.Chat, ChatAuto), c.HeldOut, c.Self, c.Temperature}
}

// calibration is what a search measures on.
type calibration struct {
	set  *perplexity.Set
	held *perplexity.Set // nil: nothing was held out
	chat bool
	self *plan.SelfText
}

// read reads the text, without a model; nil where the model will write it.
func (c Calibration) read(t Text) (*perplexity.Corpus, error) {
	if c.Self {
		return nil, nil
	}
	return t.Read()
}

// prepare makes the sets of the text: written by the model or given, in its chat template or not, with a part held out.
func (j Job) prepare(ctx context.Context, src *Source, corpus *perplexity.Corpus, rep Reporter) (*calibration, error) {
	c := new(calibration)
	var err error
	if j.Calibration.Self {
		if corpus, c.self, err = j.writeSelf(ctx, src, rep); err != nil {
			return nil, err
		}
		c.chat = c.self.Chat
	} else if corpus, c.chat, err = j.applyChat(corpus, src.Model, rep); err != nil {
		return nil, err
	}
	return c, c.split(j, corpus, src.Model, rep)
}

// split makes the two sets. A text that is too small for both is not divided.
func (c *calibration) split(j Job, corpus *perplexity.Corpus, tok engine.Tokenizer, rep Reporter) (err error) {
	t := j.Text
	if j.Calibration.HeldOut > 0 && (t.File != "" || j.Calibration.Self) {
		seen, held := corpus.Split(j.Calibration.HeldOut, perplexity.SetOptions{Max: t.Max, Seed: t.Seed})
		if held != nil {
			if !corpus.Continuous {
				t.Seed = 0 // the documents are chosen
			}
			c.set, c.held, err = c.both(t, seen, held, tok)
			if err == nil {
				return nil
			}
		}
		if held == nil || errors.Is(err, perplexity.ErrTooShort) {
			rep.Notef("the text is too small to hold a part of it out")
		}
		t.Seed = j.Text.Seed
	}
	c.set, err = t.set(corpus, tok)
	c.held = nil
	return err
}

// both makes the set that is seen, and that of what is held out.
func (*calibration) both(t Text, seen, held *perplexity.Corpus, tok engine.Tokenizer) (a, b *perplexity.Set, err error) {
	if a, err = t.set(seen, tok); err != nil {
		return nil, nil, err
	}
	if t.Max == 0 || t.Max > len(a.Sequences) {
		t.Max = len(a.Sequences)
	}
	// The session is made for the search: nothing held out is longer than what it sees.
	t.Seed, t.Context = 0, a.Longest()
	b, err = t.set(held, tok)
	return a, b, err
}

// describe is the calibration as the plan has it.
func (c *calibration) describe() plan.Calibration {
	return plan.Calibration{
		Description: c.set.Describe(), TokensSHA256: c.set.SHA256(), Convention: string(c.set.Convention), Context: c.set.Context,
		Sequences: len(c.set.Sequences), Tokens: c.set.Tokens(), Chat: c.chat, Self: c.self,
	}
}

// applyChat renders the text's conversations by the model's chat template, where that is asked for or fits.
func (j Job) applyChat(corpus *perplexity.Corpus, m engine.Model, rep Reporter) (_ *perplexity.Corpus, used bool, _ error) {
	mode := cmp.Or(j.Calibration.Chat, ChatAuto)
	refuse := func(format string, args ...any) (*perplexity.Corpus, bool, error) {
		if mode == ChatOn {
			return nil, false, fmt.Errorf("--chat on: "+format, args...)
		}
		return corpus, false, nil
	}
	source := m.Info().ChatTemplate
	switch {
	case mode == ChatOff:
		return corpus, false, nil
	case j.Text.Convention == perplexity.Windows:
		return refuse("windows are cut from plain text; use --convention samples")
	case corpus.Conversations() == 0:
		return refuse("%s has no conversations or instructions; give JSON in ShareGPT's or Alpaca's form, or use --chat off", corpus.Name)
	case source == "":
		return refuse("the model has no chat template; use --chat off")
	}
	broken := func(err error) (*perplexity.Corpus, bool, error) {
		if mode == ChatAuto {
			rep.Notef("the model's chat template is not used, llama.cpp cannot apply it: %s", chatReason(err))
		}
		return refuse("llama.cpp cannot apply the model's chat template: %s; use --chat off", chatReason(err))
	}
	chat, err := openChat(m)
	if err != nil {
		return broken(err)
	}
	defer chat.Close()
	out, refused, why := corpus.Chat(func(turns []engine.Message) (string, error) { return chat.Apply(turns, false) })
	if refused > 0 && refused == corpus.Conversations() {
		return broken(why)
	}
	if refused > 0 {
		rep.Warnf("%d of %d documents are left out, the model's chat template refuses them: %s", refused, len(corpus.Documents), chatReason(why))
	}
	rep.Notef("the text's conversations are in the model's chat template (--chat off leaves it out)")
	out.Name = corpus.Name + " (chat template)"
	return out, true, nil
}

// openChat parses the model's chat template.
func openChat(m engine.Model) (*llamabind.ChatTemplate, error) {
	bos, eos := "", ""
	if t := m.BOS(); t >= 0 {
		bos = m.Piece(t, true)
	}
	if t := m.EOS(); t >= 0 {
		eos = m.Piece(t, true)
	}
	return llamabind.NewChatTemplate(m.Info().ChatTemplate, bos, eos)
}

// chatReason is what a template, or the engine, says of a failure, without the excerpt of the template that stands before it.
func chatReason(err error) string {
	text := err.Error()
	var e *engine.Error
	if errors.As(err, &e) {
		text = e.Text
	}
	if i := strings.LastIndex(text, "Error: "); i >= 0 {
		text = text[i+len("Error: "):]
	}
	const most = 160
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return text
}

// judge measures what was removed on the calibration and on what was held out, and warns when the loss does not carry over. used
// are the sequences that the search decided on, nil for all.
func (c *calibration) judge(ctx context.Context, session engine.Session, removed blockmask.Mask, used []int, rep Reporter) (*plan.HeldOut, error) {
	if c.held == nil {
		return nil, nil
	}
	progress := rep.Start("held-out text", int64(2*(c.set.Tokens()+c.held.Tokens())))
	defer progress.Stop()
	tokens := 0
	change := func(set *perplexity.Set, which []int) (perplexity.Change, error) {
		eval, err := perplexity.NewEvaluator(session, plainSet(set))
		if err != nil {
			return perplexity.Change{}, err
		}
		if which == nil {
			which = make([]int, len(set.Sequences))
			for i := range which {
				which[i] = i
			}
		}
		eval.OnProgress = func(p perplexity.Progress) {
			tokens += p.Tokens
			progress.Set(int64(tokens), "")
		}
		before, after, err := eval.Sums(ctx, nil, []blockmask.Mask{removed}, which)
		if err != nil {
			return perplexity.Change{}, err
		}
		return perplexity.NewChange(set.Convention, before, after[0]), nil
	}
	seen, err := change(c.set, used)
	if err != nil {
		return nil, err
	}
	held, err := change(c.held, nil)
	if err != nil {
		return nil, err
	}
	out := plan.NewHeldOut(c.held, seen, held)
	if out.Verdict == perplexity.NotOver {
		rep.Warnf("what the search found does not carry over to text that it has not seen: perplexity x%.3f there, x%.3f on the calibration; "+
			"search on more text (--chunks), or on text more like yours", held.Ratio(), seen.Ratio())
	}
	return out, nil
}
