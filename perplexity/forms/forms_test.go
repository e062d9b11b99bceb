package forms_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// turnsOf makes turns of speakers and words.
func turnsOf(words ...string) []engine.Message {
	out := []engine.Message{}
	for i := 0; i < len(words); i += 2 {
		out = append(out, engine.Message{Role: words[i], Content: words[i+1]})
	}
	return out
}

// The forms that axolotl, TRL and LLaMA-Factory document, one by one: what is read of each.
func TestDocumentedForms(t *testing.T) {
	t.Parallel()
	const add = "Below is an instruction that describes a task. Write a response that appropriately completes the request." +
		"\n\n### Instruction:\nAdd 1 and 2.\n\n### Response:\n3"
	const addThese = "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that " +
		"appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3"
	short, talk := turnsOf("user", "Add 1 and 2.", "assistant", "3"), turnsOf("system", "Be brief.", "user", "Add 1 and 2.", "assistant", "3")
	const plain, talked = "USER: Add 1 and 2.\nASSISTANT: 3", "Be brief.\nUSER: Add 1 and 2.\nASSISTANT: 3"
	for _, tt := range []struct {
		record, doc string
		turns       []engine.Message
	}{
		// Texts.
		{`{"text": "A text.", "id": 7, "url": "https://x.org", "meta": {"set": "web"}, "title": "On texts"}`, "A text.", nil},
		{`{"Text": "A text."}`, "A text.", nil},
		{`{"prompt": "The sky is", "completion": " blue."}`, "The sky is blue.", nil},
		{`{"prompt": "The sky is", "completion": " green.", "label": false}`, "The sky is green.", nil},

		// Instructions.
		{`{"instruction": "Add 1 and 2.", "input": "", "output": "3"}`, add, short},
		{`{"instruction": "Add 1 and 2.", "output": "3", "kto_tag": true, "history": [], "system": null}`, add, short},
		{`{"instruction": "Add.", "input": "1 2", "output": "3"}`, addThese, turnsOf("user", "Add.\n\n1 2", "assistant", "3")},
		{`{"instruction": "Add.", "context": "1 2", "response": "3", "category": "closed_qa"}`, addThese, turnsOf("user", "Add.\n\n1 2", "assistant", "3")},
		{`{"INSTRUCTION": "Add 1 and 2.", "RESPONSE": "3"}`, add, short},
		{`{"question": "Add 1 and 2.", "answer": "3"}`, add, short},
		{`{"context": "1 2", "question": "Add.", "answer": "3"}`, addThese, turnsOf("user", "Add.\n\n1 2", "assistant", "3")},
		{`{"instruction": "Add 1 and 2.", "output": "3", "system": "Be brief."}`, talked, talk},
		{
			`{"instruction": "And 3?", "output": "6", "history": [["Add 1 and 2.", "3"]]}`, plain + "\nUSER: And 3?\nASSISTANT: 6",
			append(turnsOf("user", "Add 1 and 2.", "assistant", "3"), turnsOf("user", "And 3?", "assistant", "6")...),
		},
		{`{"system_prompt": "Be brief.", "question": "Add 1 and 2.", "response": "3", "id": "niv.1"}`, talked, talk},
		{`{"system_prompt": "", "question": "Add 1 and 2.", "response": "3"}`, plain, short},

		// Conversations.
		{`{"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Add 1 and 2."}, {"from": "gpt", "value": "3"}]}`, talked, talk},
		{`{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]}`, talked, talk},
		{`{"conversations": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]}`, plain, short},
		{`{"conversations": [{"role": "user", "value": "Add 1 and 2."}, {"role": "model", "value": "3"}]}`, plain, short},
		{`{"messages": [{"from": "Human", "value": "Add 1 and 2."}, {"from": "GPT", "value": "3"}]}`, plain, short},
		{`{"conversations": [{"from": "human", "value": "Add 1 and 2."}, {"from": "gpt", "value": "3"}], "system": "Be brief.", "tools": "[]"}`, talked, talk},
		{`{"messages": [{"role": "user", "content": [{"type": "text", "text": "Add 1 and 2."}]}, {"role": "assistant", "content": "3"}]}`, plain, short},
		{
			`{"conversations": [{"from": "human", "value": "Add 1 and 2.", "train": false}, {"from": "gpt", "value": "3", "weight": 1,
			"train_detail": [{"begin_offset": 0, "end_offset": 1, "train": true}]}]}`, plain, short,
		},
		{`{"prompt": [{"role": "user", "content": "Add 1 and 2."}], "completion": [{"role": "assistant", "content": "3"}]}`, plain, short},
		{`{"conversations": [{"user": "Add 1 and 2.", "assistant": "3"}]}`, plain, short},
		{`{"conversations": [{"user": "Add 1 and 2."}, {"assistant": "3"}]}`, plain, short},
		{`{"conversation": [{"input": "Add 1 and 2.", "output": "3"}], "source": "here"}`, plain, short},
		{`{"system": "Be brief.", "user": "Add 1 and 2.", "assistant": "3"}`, talked, talk},
		{`{"input": "Add 1 and 2.", "output": "3"}`, plain, short},
		{
			`{"conversations": [{"from": "human", "value": "Rain?"}, {"from": "function_call", "value": "{\"name\": \"rain\"}"}, {"from": "observation", "value": "yes"}]}`,
			"USER: Rain?\nFUNCTION_CALL: {\"name\": \"rain\"}\nOBSERVATION: yes",
			turnsOf("user", "Rain?", "function_call", `{"name": "rain"}`, "observation", "yes"),
		},
		{`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]}`, "USER: Hi\nASSISTANT: ", turnsOf("user", "Hi", "assistant", "")},

		// The same text again is not lost: a prompt that is the first turn, a rendering of all turns.
		{`{"prompt": "Add 1 and 2.", "messages": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]}`, plain, short},
		{`{"text": "<u>Add 1 and 2.<a>3", "messages": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]}`, plain, short},
	} {
		c, err := perplexity.Read(strings.NewReader(tt.record), "r.json", perplexity.Auto)
		if err != nil {
			t.Errorf("%s: %v", tt.record, err)
			continue
		}
		var turns []engine.Message
		if c.Turns != nil {
			turns = c.Turns[0]
		}
		if c.Documents[0] != tt.doc || !reflect.DeepEqual(turns, tt.turns) {
			t.Errorf("%s:\n%q %q, want\n%q %q", tt.record, c.Documents[0], turns, tt.doc, tt.turns)
		}
	}
}

// And those of which no text can be made, or only a part: refused in one line, with the place.
func TestRefusedForms(t *testing.T) {
	t.Parallel()
	const turn = `{"role": "user", "content": "Hi"}`
	for _, tt := range []struct{ record, want string }{
		// Preference sets, prompts without an answer, steps, tokens.
		{`{"prompt": "a", "chosen": "b", "rejected": "c"}`, "of a preference set"},
		{`{"chosen": [` + turn + `], "rejected": [` + turn + `]}`, "of a preference set"},
		{`{"instruction": "a", "chosen": "b", "rejected": "c"}`, "of a preference set"},
		{`{"conversations": [` + turn + `], "chosen": {"from": "gpt", "value": "better"}, "rejected": {"from": "gpt", "value": "worse"}}`, `"chosen" holds one of two answers`},
		{`{"prompt": "a"}`, `a "prompt" and no "completion"`},
		{`{"prompt": [` + turn + `]}`, `a "prompt" and no "completion"`},
		{`{"prompt": "a", "completions": ["b", "c"], "labels": [true, false]}`, `a "prompt" and no "completion"`},
		{`{"prompt": "a", "generation": "b"}`, `a "prompt" and no "completion"`},
		{`{"instruction": "a", "revision": "b"}`, `an "instruction" and no "output"`},
		{`{"scores": "a", "critiques": "b", "instruction": "c", "answer": "d"}`, `an "instruction" and no "output"`},
		{`{"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [-100, 2]}`, "unknown record"},
		{`{"segments": [{"label": true, "text": "a"}]}`, "unknown record"},
		{`{"article": "a", "summary": "b"}`, "unknown record"},
		{`{"message_1": "a", "message_2": "b"}`, "unknown record"},

		// Forms of which a part would be lost.
		{`{"instruction": "a", "output": "b", "reflection": "c", "corrected": "d"}`, `"reflection" holds text`},
		{`{"question": "a", "category": "History", "answer": "b"}`, `"category" holds text`},
		{`{"question": "a", "choices": ["b"], "solution": "c", "answer": "d"}`, `"choices" holds text`},
		{`{"article": "long", "question": "a", "answer": "b"}`, `"article" holds text`},
		{`{"text": "a", "summary": "b"}`, `"summary" holds text that no form known here has: drop the field (jq -c 'del(.. | objects | .["summary"])' does it)`},
		{`{"messages": [` + turn + `], "tools": [{"type": "function", "function": {"name": "light"}}]}`, `"tools" holds tools`},
		{`{"messages": [` + turn + `], "images": ["cat.jpg"]}`, `"images" holds the names of images`},
		{`{"messages": [` + turn + `, {"role": "assistant", "content": "Hi", "thinking": "a greeting"}]}`, `turn 2: "thinking" holds thoughts`},
		{`{"messages": [` + turn + `, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "light"}}]}]}`, `turn 2: "tool_calls" holds tools`},
		{`{"messages": [` + turn + `, {"role": "tool", "name": "light", "content": "on"}]}`, `turn 2: "name" holds text`},
		{`{"messages": [` + turn + `], "text": "something else"}`, `"text" holds text`},
		{`{"messages": [` + turn + `], "conversations": [{"from": "human", "value": "Bye"}]}`, `"messages" holds text`},
		{`{"text": "a", "TEXT": "b"}`, `"TEXT" is there twice`},
		{`{"system": "One.", "messages": [{"role": "system", "content": "Two."}]}`, "another one as the first of them"},

		// Turns that are none.
		{`{"conversations": [{"from": "human"}]}`, `turn 1: it has no "value" or "content"`},
		{`{"messages": [` + turn + `, {"role": "assistant", "content": null}]}`, `turn 2: it has no "value" or "content"`},
		{`{"messages": [` + turn + `, {"role": "assistant", "content": null, "tool_calls": [{}]}]}`, `turn 2: it calls a tool ("tool_calls")`},
		{`{"text": "x", "score": NaN}`, "NaN is no JSON, though Python writes and reads it; write null"},
		{"[{\"text\": \"x\"},\n {\"text\": \"y\", \"score\": -Infinity}]", "Infinity is no JSON, though Python writes and reads it; write null"},
		{`{"text": "x", "score": -Infinity}`, "Infinity is no JSON"},
		{`{"messages": [{"content": "a"}]}`, `turn 1: it has no "from" or "role"`},
		{`{"messages": [{"role": " ", "content": "a"}]}`, `turn 1: "role" is empty`},
		{`{"messages": [{"name": "a"}]}`, "turn 1: it has no speaker"},
		{`{"messages": [{"role": "user", "content": "a", "value": "b"}]}`, `turn 1: "content" holds text`},
		{`{"messages": [{"role": "user", "content": 7}]}`, `turn 1: "content" must not be a number`},
		{`{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}`, `turn 1: "content" has a part of the type "image_url"`},
		{`{"messages": [{"role": "user", "content": ["a"]}]}`, `turn 1: "content" has a part that is a string`},
		{`{"conversations": ["Hi", "Hello"]}`, "turn 1: it must be an object with a speaker and words, not a string"},
		{`{"conversations": "Hi"}`, `"conversations" must not be a string`},
		{`{"instruction": "a", "output": "b", "history": [["a"]]}`, "history 1 is no pair"},
		{`{"instruction": "a", "output": ["b"]}`, `"output" must not be a array`},
	} {
		_, err := perplexity.Read(strings.NewReader("{\"text\": \"fine\"}\n"+tt.record), "r.jsonl", perplexity.Auto)
		if err == nil || !strings.HasPrefix(err.Error(), "r.jsonl:2: ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.record, err, tt.want)
		}
	}
}

// JSON of an unknown form out of a pipe, which has no extension, is refused as well; what only begins like JSON is text.
func TestFormsWithoutExtension(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"messages": [{"role": "user"}]}`:      "fd/63:1: turn 1",
		`{"prompt": "a"}`:                       "fd/63:1: unknown record",
		`{"text": "a"}` + "\n" + `{"other": 1}`: "fd/63:2: unknown record",
	} {
		if _, err := perplexity.Read(strings.NewReader(data), "fd/63", perplexity.Auto); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", data, err)
		}
	}
	for _, data := range []string{`{"name": "a-package", "version": "1.0"}`, `[1, 2]`, `{ "text" }`} {
		if c, err := perplexity.Read(strings.NewReader(data), "fd/63", perplexity.Auto); err != nil || !c.Continuous {
			t.Errorf("%s: %+v, %v", data, c, err)
		}
	}
}

// The same conversation in two forms is the same documents, whatever it holds.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"Hi", " spaced \n", "\u00e4\u20ac", `"quoted"`, "a\nb"} {
		one := fmt.Sprintf(`{"conversations": [{"from": "human", "value": %[1]q}, {"from": "gpt", "value": %[1]q}]}`, words)
		other := fmt.Sprintf(`{"messages": [{"role": "user", "content": %[1]q}, {"role": "assistant", "content": %[1]q}]}`, words)
		a, errA := perplexity.Read(strings.NewReader(one), "a.jsonl", perplexity.Auto)
		b, errB := perplexity.Read(strings.NewReader(other), "a.jsonl", perplexity.Auto)
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q: %+v, %v; %+v, %v", words, a, errA, b, errB)
		}
	}
}
