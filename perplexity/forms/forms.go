package forms

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
)

// document is what a record says: a text, or the turns of a conversation or an instruction with a text that is made of them.
type document struct {
	text  string
	turns []engine.Message // nil for a text
}

// form is a way in which a record may be written: the fields without which it is none, and how it is read.
type form struct {
	as    Form
	needs []string
	read  func(f *fields, needs []string) (document, error)
}

// forms are tried in this order, since a record may have several: Alpaca's published set has the filled template as "text" besides
// its parts. They are those that axolotl, TRL and LLaMA-Factory document, as far as one text can be made of them.
var forms = []form{
	{ShareGPT, []string{"conversations"}, readConversation},
	{ShareGPT, []string{"messages"}, readConversation},
	{ShareGPT, []string{"conversation"}, readConversation},
	{Alpaca, []string{"instruction", "output"}, readInstruction},
	{Alpaca, []string{"instruction", "response"}, readInstruction},
	{ShareGPT, []string{"question", "response"}, readPair},
	{ShareGPT, []string{"question", "output"}, readPair},
	{Alpaca, []string{"question", "answer"}, readInstruction},
	{ShareGPT, []string{"prompt", "completion"}, readCompletion},
	{ShareGPT, []string{"prompt", "response"}, readPair},
	{ShareGPT, []string{"prompt", "output"}, readPair},
	{ShareGPT, []string{"user", "assistant"}, readPair},
	{ShareGPT, []string{"human", "assistant"}, readPair},
	{ShareGPT, []string{"human", "gpt"}, readPair},
	{ShareGPT, []string{"user", "gpt"}, readPair},
	{ShareGPT, []string{"input", "output"}, readPair},
	{ShareGPT, []string{"input", "response"}, readPair},
	{JSONText, []string{"text"}, readText},
}

// readRecord reads a record in the form as, or in its own with "".
func readRecord(f *fields, as Form) (document, error) {
	for _, form := range forms {
		if (as == "" || as == form.as) && f.has(form.needs...) {
			return form.read(f, form.needs)
		}
	}
	return document{}, missing(f, as)
}

// known reports whether the record has a field by which one of the forms is known.
func known(f *fields) bool {
	return f.first("text", "conversations", "conversation", "messages", "instruction", "question", "prompt", "chosen", "user", "human", "input") != ""
}

func readText(f *fields, _ []string) (document, error) {
	text, err := f.text("text")
	if err != nil {
		return document{}, err
	}
	f.used["title"] = true // of an encyclopaedia's article; trainers leave it out, too
	return document{text: text}, f.unread("", text)
}

// readConversation reads turns, after a system text that stands beside them.
func readConversation(f *fields, needs []string) (document, error) {
	system, err := f.system()
	if err != nil {
		return document{}, err
	}
	turns, err := readTurns(f, needs[0])
	if err != nil {
		return document{}, err
	}
	if len(system) > 0 && len(turns) > 0 && turns[0].Role == "system" {
		if strings.TrimSpace(turns[0].Content) != strings.TrimSpace(system[0].Content) {
			return document{}, errors.New("it has a system text beside its turns, and another one as the first of them; keep one")
		}
		system = nil
	}
	return dialogue(f, append(system, turns...))
}

func readPair(f *fields, needs []string) (document, error) {
	turns, err := f.pair(needs[0], needs[1])
	return document{conversation(turns), turns}, err
}

// readCompletion reads TRL's prompt and completion: texts that belong together as they are, or turns.
func readCompletion(f *fields, _ []string) (document, error) {
	if f.values["prompt"][0] != '[' {
		prompt, err := f.text("prompt")
		if err != nil {
			return document{}, err
		}
		completion, err := f.text("completion")
		if err != nil {
			return document{}, err
		}
		return document{text: prompt + completion}, f.unread("", prompt, completion)
	}
	turns := []engine.Message{}
	for _, name := range []string{"prompt", "completion"} {
		if kindOf(f.values[name]) != "array" {
			return document{}, wrongKind(name, f.values[name])
		}
		part, err := readTurns(f, name)
		if err != nil {
			return document{}, fmt.Errorf("%s: %w", name, err)
		}
		turns = append(turns, part...)
	}
	return dialogue(f, turns)
}

// dialogue is a conversation, of a record whose other fields say nothing else.
func dialogue(f *fields, turns []engine.Message) (document, error) {
	f.rendered(said(turns)...)
	return document{conversation(turns), turns}, f.unread("", said(turns)...)
}

// readInstruction reads Alpaca's form, and others with the same parts under other names. With a system text or turns that came before,
// it is a conversation.
func readInstruction(f *fields, needs []string) (document, error) {
	instruction, err := f.text(needs[0])
	if err != nil {
		return document{}, err
	}
	output, err := f.text(needs[1])
	if err != nil {
		return document{}, err
	}
	input, err := f.text("input")
	if err == nil && strings.TrimSpace(input) == "" && f.has("context") {
		input, err = f.text("context")
	}
	if err != nil {
		return document{}, err
	}
	turns, err := f.system()
	if err != nil {
		return document{}, err
	}
	earlier, err := f.history()
	if err != nil {
		return document{}, err
	}
	// What Alpaca calls the input follows the instruction in the user's turn.
	ask := instruction
	if input != "" {
		ask += "\n\n" + input
	}
	plain := len(turns)+len(earlier) == 0
	turns = append(append(turns, earlier...), engine.Message{Role: "user", Content: ask}, engine.Message{Role: "assistant", Content: output})
	f.rendered(instruction, input, output)
	but := ""
	if needs[0] == "question" {
		but = "category" // of Jeopardy, where it is a part of the question
	}
	if err := f.unread(but, said(turns)...); err != nil {
		return document{}, err
	}
	if plain {
		return document{alpaca(instruction, input, output), turns}, nil
	}
	return document{conversation(turns), turns}, nil
}

// rendered counts the record's "text" as read if it is a template with all that was said filled in.
func (f *fields) rendered(said ...string) {
	text, err := f.text("text")
	f.used["text"] = err == nil && !slices.ContainsFunc(said, func(s string) bool { return !strings.Contains(text, strings.TrimSpace(s)) })
}

// history reads LLaMA-Factory's: pairs of what was asked and answered before.
func (f *fields) history() (out []engine.Message, err error) {
	if !f.has("history") {
		return nil, nil
	}
	err = f.elements("history", func(i int, value json.RawMessage) error {
		var pair []string
		if json.Unmarshal(value, &pair) != nil || len(pair) != 2 {
			return fmt.Errorf("history %d is no pair of two texts", i+1)
		}
		out = append(out, engine.Message{Role: "user", Content: pair[0]}, engine.Message{Role: "assistant", Content: pair[1]})
		return nil
	})
	return out, err
}

// alpaca fills the prompt template of Stanford Alpaca, whose texts BlockPruner calibrates on.
func alpaca(instruction, input, output string) string {
	var b strings.Builder
	b.WriteString("Below is an instruction that describes a task")
	if input != "" {
		b.WriteString(", paired with an input that provides further context")
	}
	b.WriteString(". Write a response that appropriately completes the request.\n\n### Instruction:\n" + instruction)
	if input != "" {
		b.WriteString("\n\n### Input:\n" + input)
	}
	b.WriteString("\n\n### Response:\n" + output)
	return b.String()
}

// conversation writes turns as Vicuna's training texts have them, which needs no model's chat template: "USER: ..." and
// "ASSISTANT: ..." on lines of their own, after a bare system text.
func conversation(turns []engine.Message) string {
	var lines []string
	for _, t := range turns {
		if t.Role == "system" {
			lines = append(lines, t.Content)
		} else {
			lines = append(lines, strings.ToUpper(t.Role)+": "+t.Content)
		}
	}
	return strings.Join(lines, "\n")
}

// missing says why a record is in no form, or not in the one that was asked for.
func missing(f *fields, as Form) error {
	switch as {
	case Alpaca:
		if f.has("instruction") {
			return errors.New(`no "output" or "response" in this record, which Alpaca's form needs`)
		}
		return errors.New(`no "instruction" in this record, which Alpaca's form needs`)
	case ShareGPT:
		return errors.New(`no "conversations" or "messages" in this record, which ShareGPT's form needs`)
	case JSONText:
		return errors.New(`no "text" in this record`)
	}
	switch {
	case f.has("chosen") || f.has("rejected"):
		return errors.New(`unknown record: it is of a preference set; make "messages" of its prompt and one of the answers`)
	case f.has("instruction"):
		return errors.New(`unknown record: it has an "instruction" and no "output" or "response"`)
	case f.has("prompt"):
		return errors.New(`unknown record: it has a "prompt" and no "completion" or "response"`)
	}
	return errors.New(`unknown record: it needs "text", "instruction" and "output", "messages", or "conversations"; others are in docs/FORMATS.md`)
}
