package calibrate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/perplexity"
)

// selfText asks for a few short documents.
func selfText() corpus.Text {
	return corpus.Text{Convention: perplexity.Samples, Context: 64, Batch: 128, Max: 6, Seed: 3}
}

// A model writes the same text for the same seed, another one for another, and a frame of its chat template around it.
func TestSelf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		model  chatty
		mode   Chat
		chat   bool
		opened string // what each document begins with
	}{
		"no template":        {chatty{}, "", false, ""},
		"a template":         {chatty{template: "a"}, "", true, "user: "},
		"a template, off":    {chatty{template: "a"}, ChatOff, false, ""},
		"it refuses, auto":   {chatty{template: "refuse QUESTION"}, ChatAuto, false, ""},
		"a template, wanted": {chatty{template: "a"}, ChatOn, true, "user: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, o := open(t, c.model), Options{Self: true, Temperature: 1, Chat: c.mode}
			first, _, err := prepare(t, src, selfText(), o)
			if err != nil {
				t.Fatal(err)
			}
			if first.Self == nil || first.Self.Seed != 3 || first.Self.Temperature != 1 || first.Self.Chat != c.chat || first.Chat != c.chat || first.Held != nil {
				t.Errorf("it says %+v of a text that is in the template: %v", first.Self, first.Chat)
			}
			if len(first.Set.Sequences) != 6 || first.Set.Longest() > 64 {
				t.Errorf("%d sequences of %d tokens", len(first.Set.Sequences), first.Set.Longest())
			}
			for _, q := range first.Set.Sequences {
				if q.Tokens[0] != src.Model.BOS() || slices.Contains(q.Tokens[1:], src.Model.BOS()) {
					t.Errorf("BOS does not stand in front alone: %v", q.Tokens)
				}
			}
			again, _, err := prepare(t, src, selfText(), o)
			if err != nil || again.Set.SHA256() != first.Set.SHA256() {
				t.Errorf("the same seed gives another text, %v", err)
			}
			other := selfText()
			other.Seed = 4
			if c, _, err := prepare(t, src, other, o); err != nil || c.Set.SHA256() == first.Set.SHA256() {
				t.Errorf("another seed gives the same text, %v", err)
			}
			frame, _, err := maker{o, selfText(), src, new(progresstest.Listener)}.selfFrame()
			if err != nil {
				t.Fatal(err)
			}
			want, _ := src.Model.Tokenize(c.opened, true, false)
			if !slices.Equal(frame[0], want) || (len(frame) == 2) != c.chat {
				t.Errorf("the frame is %v, want %v in front", frame, want)
			}
		})
	}
}

// A part of what the model writes is held out, on top of what the search sees.
func TestSelfHeldOut(t *testing.T) {
	t.Parallel()
	text := selfText()
	text.Max = 8
	out, _, err := prepare(t, open(t, chatty{}), text, Options{Self: true, Temperature: 1, HeldOut: 0.25})
	if err != nil || len(out.Set.Sequences) != 8 || out.Held == nil || len(out.Held.Sequences) != 4 {
		t.Errorf("%+v, %v", out, err)
	}
}

// What cannot write its own text says why, and what to do.
func TestSelfRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		model   chatty
		mode    Chat
		context int
		want    string
	}{
		"a template is wanted":    {chatty{}, ChatOn, 64, "--chat on: the model's chat template cannot be used: the model has none; use --chat off"},
		"the template refuses":    {chatty{template: "refuse QUESTION"}, ChatOn, 64, "--chat on: the model's chat template cannot be used: not in this house; use --chat off"},
		"no token to begin with":  {chatty{noSpecials: true}, "", 64, "no token that begins a text"},
		"the engine does not":     {chatty{noSteps: true}, "", 64, "this engine cannot write text; give one with -f"},
		"there is no room for it": {chatty{template: "a"}, "", 12, "a context of 12 tokens has no room"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := selfText()
			text.Context = c.context
			if _, _, err := prepare(t, open(t, c.model), text, Options{Self: true, Temperature: 1, Chat: c.mode}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	src := open(t, chatty{})
	cancel()
	if _, err := Prepare(ctx, src, selfText(), Options{Self: true}, nil, new(progresstest.Listener)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A template's reason is told without the excerpt of the template in front of it, and not for ever.
func TestChatReason(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "at line 3: {{ x }} Error: no such filter": "no such filter", strings.Repeat("é", 200): strings.Repeat("é", 160) + "...",
	} {
		if got := chatReason(errors.New(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
