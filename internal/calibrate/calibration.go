package calibrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Options say how a search's text fits its model, and what of it is held out.
type Options struct {
	Chat        Chat
	HeldOut     float64 // part of the user's text that the search does not see, 0 to 0.5
	Self        bool    // the model writes the text itself; Text.File is not used
	Temperature float64 // of that
}

// Chat says whether conversations are rendered by the model's chat template.
type Chat string

// The modes. ChatAuto is on where the text has conversations or instructions and the model has a template that works.
const (
	ChatAuto Chat = "auto"
	ChatOn   Chat = "on"
	ChatOff  Chat = "off"
)

// ChatModes lists the names of the modes.
func ChatModes() []string { return []string{string(ChatAuto), string(ChatOn), string(ChatOff)} }

// Config is the part of a journal's header that identifies the calibration beyond its tokens.
func (c Options) Config() any {
	return struct {
		Chat        Chat    `json:"chat"`
		HeldOut     float64 `json:"held_out"`
		Self        bool    `json:"self,omitempty"`
		Temperature float64 `json:"temperature,omitempty"`
	}{cmp.Or(c.Chat, ChatAuto), c.HeldOut, c.Self, c.Temperature}
}

// Calibration is what a search measures on.
type Calibration struct {
	Set  *perplexity.Set
	Held *perplexity.Set // nil: nothing was held out
	Chat bool            // conversations are in the chat template
	Self *plan.SelfText
}

// Read reads the text, without a model; nil where the model will write it.
func (c Options) Read(t corpus.Text) (*perplexity.Corpus, error) {
	if c.Self {
		return nil, nil
	}
	return t.Read()
}

// maker makes a calibration.
type maker struct {
	Options
	text corpus.Text
	src  *source.Source
	sink progress.Sink
}

// Prepare makes the sets of the text: written by the model or given as c, in the chat template or not, with a part held out. t says
// in which pieces.
func Prepare(ctx context.Context, src *source.Source, t corpus.Text, o Options, c *perplexity.Corpus, sink progress.Sink) (*Calibration, error) {
	m := maker{o, t, src, sink}
	out := new(Calibration)
	var err error
	if o.Self {
		if c, out.Self, err = m.writeSelf(ctx); err != nil {
			return nil, err
		}
		out.Chat = out.Self.Chat
	} else if c, out.Chat, err = m.applyChat(c); err != nil {
		return nil, err
	}
	return out, m.split(out, c)
}

// split makes the two sets. A text that is too small for both is not divided.
func (m maker) split(out *Calibration, c *perplexity.Corpus) (err error) {
	t, tok := m.text, m.src.Model
	if m.HeldOut > 0 && (t.File != "" || m.Self) {
		seen, held := c.Split(m.HeldOut, perplexity.SetOptions{Max: t.Max, Seed: t.Seed})
		if held != nil {
			if !c.Continuous {
				t.Seed = 0 // the documents are chosen
			}
			out.Set, out.Held, err = both(t, seen, held, tok)
			if err == nil {
				return nil
			}
		}
		if held == nil || errors.Is(err, perplexity.ErrTooShort) {
			m.sink.Notef("the text is too small to hold a part of it out")
		}
		t.Seed = m.text.Seed
	}
	out.Set, err = t.Set(c, tok)
	out.Held = nil
	return err
}

// both makes the set that is seen, and that of what is held out.
func both(t corpus.Text, seen, held *perplexity.Corpus, tok engine.Tokenizer) (a, b *perplexity.Set, err error) {
	if a, err = t.Set(seen, tok); err != nil {
		return nil, nil, err
	}
	if t.Max == 0 || t.Max > len(a.Sequences) {
		t.Max = len(a.Sequences)
	}
	// The session is made for the search: nothing held out is longer than what it sees.
	t.Seed, t.Context = 0, a.Longest()
	b, err = t.Set(held, tok)
	return a, b, err
}

// Describe is the calibration as the plan has it.
func (c *Calibration) Describe() plan.Calibration {
	return plan.Calibration{
		Description: c.Set.Describe(), TokensSHA256: c.Set.SHA256(), Convention: string(c.Set.Convention), Context: c.Set.Context,
		Sequences: len(c.Set.Sequences), Tokens: c.Set.Tokens(), Chat: c.Chat, Self: c.Self,
	}
}

// applyChat renders the text's conversations by the model's chat template, where that is asked for or fits.
func (m maker) applyChat(c *perplexity.Corpus) (_ *perplexity.Corpus, used bool, _ error) {
	mode := cmp.Or(m.Chat, ChatAuto)
	refuse := func(format string, args ...any) (*perplexity.Corpus, bool, error) {
		if mode == ChatOn {
			return nil, false, fmt.Errorf("--chat on: "+format, args...)
		}
		return c, false, nil
	}
	template := m.src.Model.Info().ChatTemplate
	switch {
	case mode == ChatOff:
		return c, false, nil
	case m.text.Convention == perplexity.Windows:
		return refuse("windows are cut from plain text; use --convention samples")
	case c.Conversations() == 0:
		return refuse("%s has no conversations or instructions; give JSON in ShareGPT's or Alpaca's form, or use --chat off", c.Name)
	case template == "":
		return refuse("the model has no chat template; use --chat off")
	}
	broken := func(err error) (*perplexity.Corpus, bool, error) {
		if mode == ChatAuto {
			m.sink.Notef("the model's chat template is not used, llama.cpp cannot apply it: %s", chatReason(err))
		}
		return refuse("llama.cpp cannot apply the model's chat template: %s; use --chat off", chatReason(err))
	}
	chat, err := openChat(m.src)
	if err != nil {
		return broken(err)
	}
	defer chat.Close()
	out, refused, why := c.Chat(func(turns []engine.Message) (string, error) { return chat.Apply(turns, false) })
	if refused > 0 && refused == c.Conversations() {
		return broken(why)
	}
	if refused > 0 {
		m.sink.Warnf("%d of %d documents are left out, the model's chat template refuses them: %s", refused, len(c.Documents), chatReason(why))
	}
	m.sink.Notef("the text's conversations are in the model's chat template (--chat off leaves it out)")
	out.Name = c.Name + Rendered
	return out, true, nil
}

// InTemplate returns the text with its conversations in the model's chat template, as a search sees them; c itself where it has none, where
// the template cannot be used, or with [ChatOff]. Conversations that the template refuses are left out.
func InTemplate(src *source.Source, mode Chat, c *perplexity.Corpus) *perplexity.Corpus {
	if mode == ChatOff || c.Conversations() == 0 || src.Model.Info().ChatTemplate == "" {
		return c
	}
	chat, err := openChat(src)
	if err != nil {
		return c
	}
	defer chat.Close()
	out, refused, _ := c.Chat(func(turns []engine.Message) (string, error) { return chat.Apply(turns, false) })
	if refused == c.Conversations() {
		return c
	}
	out.Name += Rendered
	return out
}

// Rendered is added to the name of a text whose conversations are in the model's chat template.
const Rendered = " (chat template)"

// openChat parses the model's chat template.
func openChat(src *source.Source) (engine.ChatTemplate, error) {
	m := src.Model
	bos, eos := "", ""
	if t := m.BOS(); t >= 0 {
		bos = m.Piece(t, true)
	}
	if t := m.EOS(); t >= 0 {
		eos = m.Piece(t, true)
	}
	return src.Spec.Engine.NewChatTemplate(m.Info().ChatTemplate, bos, eos)
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

// Judge measures what was removed on the calibration and on what was held out, and warns when the loss does not carry over. used
// are the sequences that the search decided on, nil for all.
func (c *Calibration) Judge(ctx context.Context, session engine.Session, removed blockmask.Mask, used []int, sink progress.Sink) (*plan.HeldOut, error) {
	if c.Held == nil {
		return nil, nil
	}
	bar := sink.Start("held-out text", int64(2*(c.Set.Tokens()+c.Held.Tokens())))
	defer bar.Stop()
	tokens := 0
	change := func(set *perplexity.Set, which []int) (perplexity.Change, error) {
		eval, err := perplexity.NewEvaluator(session, PlainSet(set))
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
			bar.Set(int64(tokens), "")
		}
		before, after, err := eval.Sums(ctx, nil, []blockmask.Mask{removed}, which)
		if err != nil {
			return perplexity.Change{}, err
		}
		return perplexity.NewChange(set.Convention, before, after[0]), nil
	}
	seen, err := change(c.Set, used)
	if err != nil {
		return nil, err
	}
	held, err := change(c.Held, nil)
	if err != nil {
		return nil, err
	}
	out := plan.NewHeldOut(c.Held, seen, held)
	if out.Verdict == perplexity.NotOver {
		sink.Warnf("what the search found does not carry over to text that it has not seen: perplexity x%.3f there, x%.3f on the calibration; "+
			"search on more text (--chunks), or on text more like yours", held.Ratio(), seen.Ratio())
	}
	return out, nil
}

// PlainSet returns the set with log-likelihoods as losses.
func PlainSet(set *perplexity.Set) *perplexity.Set {
	out := *set
	out.Metric = perplexity.NLL
	out.Sequences = slices.Clone(set.Sequences)
	for i := range out.Sequences {
		out.Sequences[i].Ref = nil
	}
	return &out
}
