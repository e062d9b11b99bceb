package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// sound fails t unless the task is one that can be scored, or err is one line.
func sound(t *testing.T, task *Task, err error, quoted int) {
	t.Helper()
	if err != nil {
		fuzztest.OneLine(t, err, quoted)
		return
	}
	if len(task.Items) == 0 {
		t.Error("it has no items")
	}
	for _, it := range task.Items {
		if len(it.Choices) == 0 || len(it.Choices) != len(it.Right) || it.Place < 1 {
			t.Fatalf("item %+v", it)
		}
	}
	if c := task.Chance(); !(c >= 0 && c <= 1) {
		t.Fatalf("chance %v", c)
	}
}

// What is no evaluation set is an error that names its form, never a panic.
func FuzzParseTask(f *testing.F) {
	files, err := filepath.Glob(folder + "*.*")
	if err != nil || len(files) < 8 {
		f.Fatalf("%d files in %s: %v", len(files), folder, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		f.Add(name, data[:min(len(data), 2000)])
	}
	f.Add("x", []byte{2, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(WinoGrande, []byte("0,\"_,a,b,1\n1,_,\",b,2\n,,,,\n0,\",a,b,1"))
	f.Add(PIQA, []byte(`{"rows":[{"row":null},{}]}`))
	f.Add("\r", []byte("0"))
	f.Add(PIQA, []byte(`[null,{"goal":null}]`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		fuzztest.Bounded(t, len(data), func() {
			task, err := Parse(name, data)
			if err != nil && strings.ContainsAny(name, "\r\n") {
				return // a name of the user's, which stands in the error as it is
			}
			sound(t, task, err, 2*len(name)+len(data))
		})
	})
}

// Rows are read one at a time, in any of their arrangements: of a million empty ones the first is refused.
func TestRowsOneAtATime(t *testing.T) {
	many := strings.Repeat("{},", 1<<20) + "{}"
	for text, want := range map[string]string{
		"[" + many + "]":              `item 1: there is no "goal"`,
		`{"rows":[` + many + `]}`:     `item 1: there is no "goal"`,
		strings.Repeat("{}\n", 1<<20): `item 1: there is no "goal"`,
		`{"rows":7}`:                  `its "rows" are not those`,
		`{"rows":[7]}`:                `its "rows" are not those`,
		`[7]`:                         "not of objects",
		`[{}`:                         `item 1: there is no "goal"`,
		`{"goal":"g","sol1":"a","sol2":"b","label":0} 7`: "item 2 is no JSON object",
		`{"goal":"g","sol1":"a","sol2":"b","label":0} {`: "after item 1 it is no JSON: unexpected EOF",
		`[{"goal":"g","sol1":"a","sol2":"b","label":0},`: "after item 1 it is no JSON: unexpected EOF",
	} {
		fuzztest.Bounded(t, len(text), func() {
			if _, err := Parse(PIQA, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.50s: %v, want %q", text, err, want)
			}
		})
	}
}

// Lines are taken from the text one item at a time, and more labels than any set has are not taken apart.
func TestMillionsOfLines(t *testing.T) {
	text := []byte("a" + strings.Repeat("\n", 6<<20-1) + "b")
	fuzztest.Bounded(t, len(text), func() {
		if _, err := Parse(HellaSwag, text); err == nil || !strings.Contains(err.Error(), "line 2 is not the number of an ending") {
			t.Error(err)
		}
	})
	items := filepath.Join(t.TempDir(), "v.jsonl")
	for path, data := range map[string]string{items: `{"goal":"g","sol1":"a","sol2":"b"}`, strings.TrimSuffix(items, ".jsonl") + "-labels.lst": strings.Repeat("0\n", 4<<20)} {
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fuzztest.Bounded(t, 0, func() {
		if _, err := ReadFile(PIQA, items); err == nil || !strings.Contains(err.Error(), "it is too large to be labels") {
			t.Error(err)
		}
	})
}

// FuzzBinary reads what llama-perplexity --multiple-choice reads. Items whose texts begin as llama.cpp has them can be written and read
// again.
func FuzzBinary(f *testing.F) {
	f.Add(binaryForm([]Item{
		{Choices: afterSpace("one?", []string{"a", "b"}), Right: []bool{false, true}},
		{Choices: afterSpace("two", []string{"c"}), Right: []bool{true}},
	}))
	f.Add([]byte{1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{255}, 40))
	f.Add(append([]byte{1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 'q', 100, 0, 0, 0}, make([]byte, 1000)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bounded(t, len(data), func() {
			task, err := parseBinary("x", data)
			if sound(t, task, err, 0); err != nil {
				return
			}
			again, err := parseBinary("x", binaryForm(task.Items))
			if err != nil || fmt.Sprint(again.Items) != fmt.Sprint(task.Items) {
				t.Errorf("%v became %v, %v", task, again, err)
			}
		})
	})
}

// FuzzLabels reads items whose right answers are in a file beside them.
func FuzzLabels(f *testing.F) {
	row, err := json.Marshal(map[string]string{"goal": "g", "sol1": "a", "sol2": "b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Repeat(append(row, '\n'), 2), []byte("0\n1\n"))
	f.Add(row, []byte("-1"))
	f.Add(row, []byte("\"\n"))
	f.Add(row, []byte("9223372036854775808"))
	f.Add(row, []byte("\xff\x00"))
	dir := f.TempDir()
	items, labels := filepath.Join(dir, "v.jsonl"), filepath.Join(dir, "v-labels.lst")
	f.Fuzz(func(t *testing.T, rows, beside []byte) {
		for path, data := range map[string][]byte{items: rows, labels: beside} {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		fuzztest.Bounded(t, len(rows)+len(beside), func() {
			task, err := ReadFile(PIQA, items)
			if sound(t, task, err, len(items)+len(rows)+8*len(beside)); err != nil {
				form := (*FormError)(nil)
				if !errors.As(err, &form) {
					t.Errorf("%v is no %T", err, form)
				}
				return
			}
			words := strings.Fields(string(beside))
			for i, it := range task.Items {
				if strings.Contains(string(rows), "label") || len(words) != len(task.Items) {
					return // they have their own
				}
				if n, err := strconv.Atoi(words[i]); err != nil || n != right(it) {
					t.Errorf("the label %q became %d", words[i], right(it))
				}
			}
		})
	})
}
