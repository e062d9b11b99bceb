package perplexity

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

const talk = `{"instruction": "Add.", "input": "1 2", "output": "3"}
{"conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"}, {"from": "GPT", "value": "Hello"}]}
{"text": "plain"}
{"conversations": [{"from": "gpt", "value": "first"}]}
`

func TestChat(t *testing.T) {
	t.Parallel()
	c, err := Read(strings.NewReader(talk), "talk.jsonl", Auto)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]engine.Message{
		{{Role: "user", Content: "Add.\n\n1 2"}, {Role: "assistant", Content: "3"}},
		{{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Hello"}},
		nil,
		{{Role: "assistant", Content: "first"}},
	}
	if !reflect.DeepEqual(c.Turns, want) || c.Conversations() != 3 {
		t.Fatalf("turns %q", c.Turns)
	}
	no := errors.New("no")
	out, refused, why := c.Chat(func(m []engine.Message) (string, error) {
		if m[0].Role == "assistant" {
			return "", no
		}
		text := ""
		for _, turn := range m {
			text += "<" + turn.Content + ">"
		}
		return text, nil
	})
	if refused != 1 || why != no || strings.Join(out.Documents, "|") != "<Add.\n\n1 2><3>|<Be kind.><Hi><Hello>|plain" {
		t.Errorf("%q, %d refused: %v", out.Documents, refused, why)
	}
	if !out.parsesSpecial(0) || out.parsesSpecial(2) || out.parsesSpecial(9) {
		t.Error("special tokens are read in the wrong documents")
	}
	if out.Conversations() != 0 {
		t.Error("what is rendered would be rendered again")
	}
}

// A rendering that lacks what somebody says is refused; white space, thoughts and the system's text may go.
func TestChatHoldsTheMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ rendered, want string }{
		{"chatml", "leaves out what the user says"},
		{"", "renders it to nothing"},
		{"[Why?]", "leaves out what the assistant says"},
		{"[Because.]", "leaves out what the user says"},
		{"[Be kind. Why?][<think>hm</think>Because. ]", ""},
		{"[Why?][Because.]", ""},
	} {
		c := &Corpus{Name: "c", Documents: []string{"d"}, Turns: [][]engine.Message{{
			{Role: "system", Content: "Be kind."}, {Role: "user", Content: " Why?\n"}, {Role: "assistant", Content: "<think>hm</think>\n\nBecause. "},
		}}}
		out, refused, why := c.Chat(func([]engine.Message) (string, error) { return tt.rendered, nil })
		if tt.want == "" {
			if refused != 0 || len(out.Documents) != 1 {
				t.Errorf("%q: refused, %v", tt.rendered, why)
			}
		} else if refused != 1 || why == nil || !strings.Contains(why.Error(), tt.want) || len(out.Documents) != 0 {
			t.Errorf("%q: %v, want %q", tt.rendered, why, tt.want)
		}
	}
}

// specials reads "<s>" as BOS where special tokens are parsed, and every other byte as a token.
type specials struct{ bos bool }

func (specials) BOS() engine.Token { return 1 }
func (s specials) AddBOS() bool    { return s.bos }
func (specials) AddEOS() bool      { return false }

func (specials) Tokenize(text string, _, parse bool) ([]engine.Token, error) {
	var out []engine.Token
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "<s>"); ok && parse {
			out, text = append(out, 1), rest
			continue
		}
		out, text = append(out, engine.Token(text[0])), text[1:]
	}
	return out, nil
}

// BOS comes once: the template's or the model's; none where neither wants it; and text that only looks like it stays text.
func TestBOSOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40)
	for _, tt := range []struct {
		text    string
		special bool
		adds    bool
		want    []engine.Token // at the beginning
	}{
		{"<s>a", true, true, []engine.Token{1, 'a', 'x'}},
		{"a", true, true, []engine.Token{1, 'a', 'x'}},
		{"<s>a", true, false, []engine.Token{1, 'a', 'x'}},
		{"a", true, false, []engine.Token{'a', 'x'}},
		{"<s>a", false, true, []engine.Token{1, '<', 's', '>', 'a'}},
	} {
		c := &Corpus{Name: "c", Documents: []string{tt.text + long}}
		if tt.special {
			c = Special("c", c.Documents)
		}
		set, err := NewSet(Samples, c, specials{tt.adds}, SetOptions{Context: 64})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Sequences[0].Tokens[:len(tt.want)]; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A text is one stream of tokens, in which only what a template has rendered has special tokens.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		special []bool
		want    []engine.Token
	}{
		{[]bool{true, true}, []engine.Token{1, 'a', '\n', '\n', 1, 'b'}},
		{[]bool{false, true}, []engine.Token{'<', 's', '>', 'a', '\n', '\n', 1, 'b'}},
		{nil, []engine.Token{'<', 's', '>', 'a', '\n', '\n', '<', 's', '>', 'b'}},
	} {
		c := &Corpus{Name: "c", Documents: []string{"<s>a", "<s>b"}, special: tt.special}
		if got, err := c.Stream(specials{bos: true}); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("special %v: %v, %v", tt.special, got, err)
		}
	}
}
