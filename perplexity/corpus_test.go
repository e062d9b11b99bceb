package perplexity

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadForms(t *testing.T) {
	t.Parallel()
	const withInput = "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3"
	const without = "Below is an instruction that describes a task. Write a response that appropriately completes the request." +
		"\n\n### Instruction:\nSay hi.\n\n### Response:\nhi"
	for _, tt := range []struct {
		name, data string
		format     Format
		want       []string
	}{
		{"a.txt", "two\n\nlines\n", Auto, []string{"two\n\nlines"}},
		{"a.txt", "kept\n\n", Auto, []string{"kept\n"}},
		{"a.txt", `{"text": "json in a text file"}`, Auto, []string{`{"text": "json in a text file"}`}},
		{"a.jsonl", `{"text": "one"}` + "\n\n" + `{"text": "two"}` + "\n", Auto, []string{"one", "two"}},
		{"a.json", "\ufeff [ {\"text\": \"one\"},\n{\"text\": \"two\"} ]\n", Auto, []string{"one", "two"}},
		{"a.json", "{\n \"text\":\n \"pretty\"\n}", Auto, []string{"pretty"}},
		{"a.jsonl", `{"instruction": "Add.", "input": "1 2", "output": "3"}`, Auto, []string{withInput}},
		{"a.jsonl", `{"instruction": "Say hi.", "input": "", "output": "hi"}`, Alpaca, []string{without}},
		{"a.jsonl", `{"instruction": "Say hi.", "output": "hi", "text": "Q: Say hi. A: hi"}`, Auto, []string{without}},
		{
			"a.jsonl", `{"conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"},` +
				` {"from": "gpt", "value": "Hello"}, {"from": "tool", "value": "x"}]}`, Auto,
			[]string{"Be kind.\nUSER: Hi\nASSISTANT: Hello\nTOOL: x"},
		},
		{"stdin", `{"text": "sniffed"}`, Auto, []string{"sniffed"}},
		{"stdin", `[{"text": "sniffed"}, {"text": " "}]`, Auto, []string{"sniffed"}},
		{"stdin", "{ x := 1 }\n", Auto, []string{"{ x := 1 }"}},
		{"stdin", "plain", "", []string{"plain"}},
		{"x.jsonl", "plain by force", Plain, []string{"plain by force"}},
		{"cut.txt", "caf\xc3", Auto, []string{"caf\xc3"}},
		{"cut.txt", "10 \xe2\x82", Auto, []string{"10 \xe2\x82"}},
		{"cut.txt", "ok \xf0\x9f\x98", Auto, []string{"ok \xf0\x9f\x98"}},
	} {
		c, err := Read(strings.NewReader(tt.data), tt.name, tt.format)
		if err != nil {
			t.Errorf("%s %q as %q: %v", tt.name, tt.data, tt.format, err)
			continue
		}
		if !slices.Equal(c.Documents, tt.want) {
			t.Errorf("%s %q as %q: got %q, want %q", tt.name, tt.data, tt.format, c.Documents, tt.want)
		}
		if plain := len(tt.want) == 1 && tt.want[0] == strings.TrimSuffix(tt.data, "\n"); c.Continuous != plain {
			t.Errorf("%s %q: Continuous = %v", tt.name, tt.data, c.Continuous)
		}
	}
}

func TestReadErrorsAreOneLineWithThePlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		format     Format
		want       string
	}{
		{"e.txt", "", Auto, "e.txt is empty"},
		{"e.txt", " \n\t\n", Auto, "e.txt is empty"},
		{"e.jsonl", "\n", Auto, "e.jsonl is empty"},
		{"e.json", "[]", Auto, "e.json is empty"},
		{"e.jsonl", `{"text": ""}`, Auto, "e.jsonl is empty"},
		{"b.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b}\n", Auto, "b.jsonl:3: "},
		{"b.jsonl", "{\"text\": \"a\"}\n{\"prompt\": \"b\"}\n", Auto, "b.jsonl:2: unknown record"},
		{"b.jsonl", "{\"text\": \"a\"}\n[1]\n", Auto, "b.jsonl:2: a record must be a JSON object, not a array"},
		{"b.jsonl", "{\"text\": \"a\"}\nnull\n", Auto, "b.jsonl:2: unknown record"},
		{"b.jsonl", "{\"text\": 7}", Auto, `b.jsonl:1: "text" must not be a number`},
		{"b.jsonl", "{\"text\": \"a\"}", Alpaca, `b.jsonl:1: no "instruction"`},
		{"b.jsonl", "{\"text\": \"a\"}", ShareGPT, `b.jsonl:1: no "conversations"`},
		{"b.jsonl", "{\"instruction\": \"a\"}", JSONText, `b.jsonl:1: no "text"`},
		{"b.json", "[{\"text\": \"a\"},\n\n", Auto, "b.json:3: the JSON ends too early"},
		{"b.json", "[{\"text\": \"a\"}\n", Auto, "ends too early"},
		{"b.json", "[", Auto, "ends too early"},
		{"b.json", "[{\"text\": \"a\"}]\n{}", Auto, "b.json:2: text after the end of the array"},
		{"b.json", "[{\"text\": \"a\"}\n{}]", Auto, "b.json:"},
		{"b.json", "hello", Auto, "b.json:1: invalid character"},
		{"m.gguf", "GGUF\x03\x00\x00\x00", Auto, "is a GGUF model"},
		{"m.bin", "abc\x00def", Auto, "is binary"},
		{"u.txt", "\xff\xfea\x00b\x00", Auto, "is UTF-16"},
		{"l.txt", "ok\nfa\xe7ade\n", Auto, "no valid UTF-8 (line 2)"},
		{"l.txt", "ok\n\xe2\x82.", Auto, "no valid UTF-8 (line 2)"},
		{"l.txt", "ok\n\x82\x82", Auto, "no valid UTF-8 (line 2)"},
	} {
		_, err := Read(strings.NewReader(tt.data), tt.name, tt.format)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %q as %s: error %v, want %q", tt.name, tt.data, tt.format, err, tt.want)
		}
		if strings.Contains(tt.want, "is empty") && !errors.Is(err, ErrEmptyCorpus) {
			t.Errorf("%q: %v is no ErrEmptyCorpus", tt.data, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.jsonl")
	if err := os.WriteFile(path, []byte(`{"text":"hello"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadFile(path, Auto)
	if err != nil || c.Text() != "hello" || c.Name != path {
		t.Errorf("ReadFile = %+v, %v", c, err)
	}
	if _, err := ReadFile(path+".missing", Auto); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
