//go:build cgo

package peertest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/llamabind"
)

// conversations that templates treat differently: a system text (which some merge into the user's), several turns, white space and
// special characters in the content, and one question and answer as Alpaca's are.
var conversations = [][]engine.Message{
	{{Role: "user", Content: "Say hi."}, {Role: "assistant", Content: "Hi!"}},
	{
		{Role: "system", Content: "Be kind."},
		{Role: "user", Content: "What is 2 < 3?\n\n  \"Think\" & answer.  "},
		{Role: "assistant", Content: "True.\n"},
		{Role: "user", Content: "Caf\u00e9 \U0001f600?"},
		{Role: "assistant", Content: "{\"yes\": 1}"},
	},

	// Some templates want the user first, or turns that alternate, and refuse these.
	{{Role: "assistant", Content: "Hi!"}, {Role: "assistant", Content: "Again."}},
}

// Where llama.cpp's tools change what a template says: it trims the contents for one, and takes the end of another's last reply
// for one that more follows. We render what the template says.
var amended = map[string]func(ours string) string{
	"openai-gpt-oss-120b.jinja": func(s string) string {
		if cut, ok := strings.CutSuffix(s, "<|return|>"); ok {
			return cut + "<|end|>"
		}
		return s
	},
	"StepFun3.5-Flash.jinja": strings.NewReplacer("answer.  <|im_end|>", "answer.<|im_end|>", "True.\n<|im_end|>", "True.<|im_end|>").Replace,
}

// peerText is what chatpeer prints of one template.
type peerText struct{ Text, Open, Error string }

// chatPeer renders messages by llama.cpp's whole chat code.
func chatPeer(t *testing.T, messages []engine.Message, templates []string) []peerText {
	t.Helper()
	exe := root + "/third_party/llama.cpp/build/bin/chatpeer"
	if _, err := os.Stat(exe); err != nil {
		t.Fatal("chatpeer is not built: run `make peers`")
	}
	var in []map[string]string
	for _, m := range messages {
		in = append(in, map[string]string{"role": m.Role, "content": m.Content})
	}
	stdin, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"<s>", "</s>"}, templates...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var texts []peerText
	for line := range bytes.Lines(out) {
		var p peerText
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		texts = append(texts, p)
	}
	if len(texts) != len(templates) {
		t.Fatalf("chatpeer rendered %d of %d templates", len(texts), len(templates))
	}
	return texts
}

// Every chat template that comes with llama.cpp's source is rendered to the same text as by llama.cpp's tools, to the byte, with and
// without the opening of a reply.
func TestChatTemplatesAreLlamaCpps(t *testing.T) {
	templates, err := filepath.Glob(root + "/third_party/llama.cpp/src/models/templates/*.jinja")
	if err != nil || len(templates) < 50 {
		t.Fatalf("%d templates, %v", len(templates), err)
	}
	equal, refused := 0, 0
	for _, messages := range conversations {
		for i, want := range chatPeer(t, messages, templates) {
			name := filepath.Base(templates[i])
			text, open, err := render(templates[i], messages)
			if amend := amended[name]; amend != nil {
				text, open = amend(text), amend(open)
			}
			switch {
			case (err != nil) != (want.Error != ""):
				t.Errorf("%s: error %v, llama.cpp's %q", name, err, want.Error)
			case text != want.Text:
				t.Errorf("%s: %q,\nllama.cpp's %q", name, text, want.Text)
			case open != want.Open:
				t.Errorf("%s with a reply: %q,\nllama.cpp's %q", name, open, want.Open)
			case err != nil:
				refused++
			default:
				equal++
			}
		}
	}
	t.Logf("%d templates: %d renderings are equal, %d refused by both", len(templates), equal, refused)
	if refused == 0 {
		t.Error("no template refuses a conversation that an assistant begins")
	}
}

func render(template string, messages []engine.Message) (text, open string, err error) {
	source, err := os.ReadFile(template)
	if err != nil {
		return "", "", err
	}
	chat, err := llamabind.NewChatTemplate(string(source), "<s>", "</s>")
	if err != nil {
		return "", "", err
	}
	defer chat.Close()
	if text, err = chat.Apply(messages, false); err != nil {
		return "", "", err
	}
	open, err = chat.Apply(messages, true)
	return text, open, err
}
