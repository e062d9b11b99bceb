package calibrate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

const (
	tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"
	tinyText  = "../../testdata/simple.jsonl" // instructions
)

// chatty is a model with a chat template, and what it has else.
type chatty struct {
	engine.Model
	template   string
	noSpecials bool // neither BOS nor EOS
	noSteps    bool // its sessions write nothing
}

func (m chatty) Info() engine.ModelInfo {
	info := m.Model.Info()
	info.ChatTemplate = m.template
	return info
}

func (m chatty) BOS() engine.Token {
	if m.noSpecials {
		return -1
	}
	return m.Model.BOS()
}

func (m chatty) EOS() engine.Token {
	if m.noSpecials {
		return -1
	}
	return m.Model.EOS()
}

func (m chatty) NewSession(ctx context.Context, p engine.SessionParams) (engine.Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	if m.noSteps {
		return struct{ engine.Session }{s}, err
	}
	return s, err
}

// open opens the small model as m says.
func open(t *testing.T, m chatty) *source.Source {
	t.Helper()
	e := enginetest.Runtime{Wrap: func(_ string, inner engine.Model) engine.Model {
		m.Model = inner
		return m
	}}
	src, err := source.Open(t.Context(), source.Spec{Engine: e, Path: tinyModel, FlashAttn: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(src.Close)
	return src
}

// prepare makes a calibration of a text.
func prepare(t *testing.T, src *source.Source, text corpus.Text, o Options) (*Calibration, *progresstest.Listener, error) {
	t.Helper()
	c, err := o.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	sink := new(progresstest.Listener)
	out, err := Prepare(t.Context(), src, text, o, c, sink)
	return out, sink, err
}

func samples(file string) corpus.Text {
	return corpus.Text{File: file, Convention: perplexity.Samples, Context: 64, Batch: 128}
}

// writeText writes a file of a test's own.
func writeText(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Conversations are in the template where that is asked for or fits, and what cannot be is an error only where it was asked for.
func TestChat(t *testing.T) {
	t.Parallel()
	windows := samples(tinyText)
	windows.Convention = perplexity.Windows
	plain := samples(writeText(t, "plain.txt", strings.Repeat("no one speaks here\n", 40)))
	for name, c := range map[string]struct {
		template string
		text     corpus.Text
		mode     Chat
		used     bool
		refused  string // where the mode is on
	}{
		"auto":                      {"a", samples(tinyText), "", true, ""},
		"auto by its name":          {"a", samples(tinyText), ChatAuto, true, ""},
		"on":                        {"a", samples(tinyText), ChatOn, true, ""},
		"off":                       {"a", samples(tinyText), ChatOff, false, ""},
		"on, windows":               {"a", windows, ChatOn, false, "--chat on: windows are cut from plain text"},
		"auto, windows":             {"a", windows, ChatAuto, false, ""},
		"on, no conversations":      {"a", plain, ChatOn, false, "--chat on: plain.txt has no conversations"},
		"auto, no conversations":    {"a", plain, ChatAuto, false, ""},
		"on, no template":           {"", samples(tinyText), ChatOn, false, "--chat on: the model has no chat template"},
		"auto, no template":         {"", samples(tinyText), ChatAuto, false, ""},
		"on, refuses everything":    {"refuse e", samples(tinyText), ChatOn, false, "--chat on: llama.cpp cannot apply the model's chat template: not in this house; use --chat off"},
		"auto, refuses everything":  {"refuse e", samples(tinyText), ChatAuto, false, ""},
		"on, refuses one document":  {"refuse rainy", samples(tinyText), ChatOn, true, ""},
		"auto, refuses one of them": {"refuse rainy", samples(tinyText), ChatAuto, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, sink, err := prepare(t, open(t, chatty{template: c.template}), c.text, Options{Chat: c.mode})
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// The test's tokens are bytes: a template's first word is that of its first role.
			user, _ := open(t, chatty{}).Model.Tokenize("user: ", true, false)
			if used := slices.Equal(out.Set.Sequences[0].Tokens[:len(user)], user); used != c.used || out.Chat != c.used || out.Describe().Chat != c.used {
				t.Errorf("rendered %v, and it says %v; want %v", used, out.Chat, c.used)
			}
			if out.Held != nil || out.Self != nil {
				t.Errorf("held %v, self %v", out.Held, out.Self)
			}
			if c.text.Convention != perplexity.Windows { // a fit sees what a search sees
				text, err := c.text.Read()
				if err != nil {
					t.Fatal(err)
				}
				fitted := InTemplate(open(t, chatty{template: c.template}), c.mode, text)
				if strings.HasSuffix(fitted.Name, Rendered) != c.used || strings.HasPrefix(fitted.Text(), "user: ") != c.used {
					t.Errorf("%s begins %.20q, want rendered %v", fitted.Name, fitted.Text(), c.used)
				}
			}
			left := 40
			switch {
			case c.text.Convention == perplexity.Windows || c.text.File != tinyText:
				return
			case c.template == "refuse rainy":
				left = 39
			}
			if n := len(out.Set.Sequences); n != left {
				t.Errorf("%d sequences of %d", n, left)
			}
			if warned := slices.ContainsFunc(sink.Notes, func(n string) bool { return strings.Contains(n, "documents are left out") }); warned != (left < 40) {
				t.Errorf("notes %q", sink.Notes)
			}
		})
	}
}

// What is held out is nothing that is seen, no sequence of it is longer, and a text too small for that is not divided.
func TestHeldOut(t *testing.T) {
	t.Parallel()
	src := open(t, chatty{})
	var lines strings.Builder
	for i := range 40 {
		fmt.Fprintf(&lines, `{"text": "%d is what this document begins with%s"}`+"\n", i+10, strings.Repeat(" again", i))
	}
	text := samples(writeText(t, "many.jsonl", lines.String()))
	text.Max, text.Seed = 12, 7
	out, _, err := prepare(t, src, text, Options{HeldOut: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Set.Sequences) != 12 || out.Held == nil || len(out.Held.Sequences) < 4 || len(out.Held.Sequences) > 12 {
		t.Fatalf("%d seen, held %+v", len(out.Set.Sequences), out.Held)
	}
	if out.Held.Longest() > out.Set.Longest() {
		t.Errorf("held out are %d tokens, seen %d", out.Held.Longest(), out.Set.Longest())
	}
	longer := false // than what is seen would be what is held out, if it was not cut
	const words = "these are some words and enough"
	for long := range 8 {
		documents := make([]string, 8)
		for i := range documents {
			documents[i] = `{"text": "` + words + `"}`
		}
		documents[long] = `{"text": "` + words + `, and more of them"}`
		c, _, err := prepare(t, src, samples(writeText(t, "long.jsonl", strings.Join(documents, "\n"))), Options{HeldOut: 0.25})
		if err != nil || c.Held == nil || c.Held.Longest() > c.Set.Longest() {
			t.Errorf("document %d is long: %+v, %v", long, c, err)
		}
		longer = longer || c.Set.Longest() == 1+len(words)
	}
	if !longer {
		t.Error("the long document was never held out")
	}
	for _, h := range out.Held.Sequences {
		for _, s := range out.Set.Sequences {
			if n := min(len(h.Tokens), len(s.Tokens)); slices.Equal(h.Tokens[:n], s.Tokens[:n]) {
				t.Errorf("a sequence is seen and held out: %v", h.Tokens)
			}
		}
	}

	one := samples(writeText(t, "one.jsonl", `{"text": "a single document of several words, and no other one"}`))
	whole, sink, err := prepare(t, src, one, Options{HeldOut: 0.5})
	if err != nil || whole.Held != nil || len(whole.Set.Sequences) != 1 || len(sink.Notes) != 1 || !strings.Contains(sink.Notes[0], "too small") {
		t.Errorf("%+v, notes %q, %v", whole, sink.Notes, err)
	}
	// The text that comes with the program is not the user's: nothing of it is held out.
	own := samples("")
	own.Max = 8
	if c, sink, err := prepare(t, src, own, Options{HeldOut: 0.5}); err != nil || c.Held != nil || len(c.Set.Sequences) != 8 || len(sink.Notes) != 0 {
		t.Errorf("%+v, notes %q, %v", c, sink.Notes, err)
	}
}

// The changes that are judged are those of the two sets, and nothing is judged where nothing was held out.
func TestJudge(t *testing.T) {
	t.Parallel()
	src := open(t, chatty{})
	text := samples(tinyText)
	text.Max = 10
	c, sink, err := prepare(t, src, text, Options{HeldOut: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	session, err := src.Session(t.Context(), 2, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	removed := blockmask.New(blockmask.Block{Layer: 0, Kind: blockmask.FFN})
	got, err := c.Judge(t.Context(), session, removed, []int{0, 3}, sink)
	if err != nil {
		t.Fatal(err)
	}
	ppl := func(set *perplexity.Set, mask blockmask.Mask) float64 {
		eval, err := perplexity.NewEvaluator(session, set)
		if err != nil {
			t.Fatal(err)
		}
		score, _, err := eval.Score(t.Context(), mask, nil)
		if err != nil {
			t.Fatal(err)
		}
		return score
	}
	seen := *c.Set
	seen.Sequences = []engine.Sequence{c.Set.Sequences[0], c.Set.Sequences[3]}
	for name, pair := range map[string][2]float64{
		"seen ratio":  {*got.SeenRatio, ppl(&seen, removed) / ppl(&seen, nil)},
		"held before": {*got.Before, ppl(c.Held, nil)}, "held after": {*got.After, ppl(c.Held, removed)},
	} {
		if d := pair[0] - pair[1]; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: %v, directly %v", name, pair[0], pair[1])
		}
	}
	if got, err := (&Calibration{Set: c.Set}).Judge(t.Context(), session, removed, nil, sink); got != nil || err != nil {
		t.Errorf("nothing was held out: %+v, %v", got, err)
	}
}
