package forms

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// speakers are the names under which published sets have what the user and the assistant say, in pairs.
var speakers = [][2]string{
	{"user", "assistant"}, {"human", "assistant"}, {"human", "gpt"}, {"user", "gpt"}, {"human", "bot"}, {"input", "output"}, {"prompt", "response"}, {"question", "response"},
}

// readTurns reads the turns of a conversation, those of a field: objects of a speaker, "from" or "role", and words, "value" or "content"; or
// objects of what both say, such as {"user", "assistant"}.
func readTurns(f *fields, name string) ([]engine.Message, error) {
	out := []engine.Message{}
	err := f.elements(name, func(i int, value json.RawMessage) error {
		turns, err := readTurn(value)
		if err != nil {
			return fmt.Errorf("turn %d: %w", i+1, err)
		}
		out = append(out, turns...)
		return nil
	})
	return out, err
}

func readTurn(value json.RawMessage) ([]engine.Message, error) {
	if value[0] != '{' {
		return nil, fmt.Errorf("it must be an object with a speaker and words, not a %s", kindOf(value))
	}
	f, err := decodeFields(value)
	if err != nil {
		return nil, err
	}
	who, what := f.first("from", "role"), f.first("value", "content")
	if who == "" && what == "" {
		return bothSay(f)
	}
	// A null counts as missing: it stands where a tool is called.
	switch {
	case who == "":
		return nil, errors.New(`it has no "from" or "role"`)
	case what == "" && f.has("tool_calls"):
		return nil, errors.New(`it calls a tool ("tool_calls") and says nothing, and only text is read; leave such conversations out`)
	case what == "":
		return nil, errors.New(`it has no "value" or "content"`)
	}
	speaker, err := f.text(who)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(speaker) == "" {
		return nil, fmt.Errorf("%q is empty", who)
	}
	words, err := f.words(what)
	if err != nil {
		return nil, err
	}
	return []engine.Message{{Role: role(speaker), Content: words}}, f.unread("", words)
}

// bothSay reads a turn, or a record, that has what each says under the speaker's name, or one of them; and the system's text.
func bothSay(f *fields) ([]engine.Message, error) {
	for _, pair := range speakers {
		if !f.has(pair[0], pair[1]) {
			continue
		}
		return f.pair(pair[0], pair[1])
	}
	for _, name := range []string{"system", "user", "human", "assistant", "gpt"} {
		if f.has(name) && len(f.values) == 1 {
			words, err := f.words(name)
			return []engine.Message{{Role: role(name), Content: words}}, err
		}
	}
	return nil, errors.New(`it has no speaker ("from" or "role") and no words ("value" or "content")`)
}

// pair reads what two say, after the system's text if there is one.
func (f *fields) pair(user, assistant string) (out []engine.Message, err error) {
	if out, err = f.system(); err != nil {
		return nil, err
	}
	ask, err := f.words(user)
	if err != nil {
		return nil, err
	}
	answer, err := f.words(assistant)
	if err != nil {
		return nil, err
	}
	out = append(out, engine.Message{Role: "user", Content: ask}, engine.Message{Role: "assistant", Content: answer})
	return out, f.unread("", said(out)...)
}

// system reads the record's system text into a turn of its own, if there is one.
func (f *fields) system() ([]engine.Message, error) {
	name := f.first("system", "system_prompt")
	if name == "" {
		return nil, nil
	}
	words, err := f.text(name)
	if err != nil || strings.TrimSpace(words) == "" {
		return nil, err
	}
	return []engine.Message{{Role: "system", Content: words}}, nil
}

// words reads what is said: a text, or OpenAI's list of parts that are texts.
func (f *fields) words(name string) (string, error) {
	if f.values[name][0] != '[' {
		return f.text(name)
	}
	var out []string
	err := f.elements(name, func(_ int, value json.RawMessage) error {
		if value[0] != '{' {
			return fmt.Errorf("%q has a part that is a %s; give a text, or parts with type and text", name, kindOf(value))
		}
		part, err := decodeFields(value)
		if err != nil {
			return err
		}
		kind, err := part.text("type")
		if err != nil {
			return err
		}
		if kind != "text" || !part.has("text") {
			return fmt.Errorf("%q has a part of the type %q, and only text is read", name, kind)
		}
		text, err := part.text("text")
		if err != nil {
			return err
		}
		out = append(out, text)
		return part.unread("", text)
	})
	return strings.Join(out, "\n"), err // as llama.cpp joins them
}

// said is what is said in each turn.
func said(turns []engine.Message) (out []string) {
	for _, t := range turns {
		out = append(out, t.Content)
	}
	return out
}

// role returns the chat role of a speaker, whatever its source called it.
func role(speaker string) string {
	switch name := strings.ToLower(strings.TrimSpace(speaker)); name {
	case "human", "prompter":
		return "user"
	case "gpt", "chatgpt", "bing", "bard", "bot", "model":
		return "assistant"
	default:
		return name
	}
}
