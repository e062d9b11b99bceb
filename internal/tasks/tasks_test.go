package tasks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseOne(t *testing.T, name, data string) Item {
	t.Helper()
	task, err := Parse(name, []byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return task.Items[0]
}

// The texts that the harness makes, worked out by hand from its task definitions.
func TestHarnessPrompts(t *testing.T) {
	t.Parallel()
	type want struct {
		prompts, endings []string
		characters       []int
		right            int
	}
	for _, c := range []struct {
		name, data string
		want       want
	}{
		{
			HellaSwag,
			`{"activity_label":"Cooking","ctx_a":"How to fry [title] Heat oil.","ctx_b":"then THE cook","endings":["a [substeps] b.","[header] c."," é ","d"],"label":"2"}`,
			want{[]string{"Cooking: How to fry. Heat oil. Then the cook"}, []string{" a b.", "  c.", " é", " d"}, []int{4, 3, 1, 1}, 2},
		},
		{
			HellaSwag,
			`{"activity_label":"A","ctx_a":"B.","ctx_b":"","endings":["x","y"],"label":0}`,
			want{[]string{"A: B."}, []string{" x", " y"}, []int{1, 1}, 0},
		},
		{
			WinoGrande,
			`{"sentence":"The cup is on the tray since _ is flat.","option1":"the cup","option2":"it","answer":"2"}`,
			want{[]string{"The cup is on the tray since the cup", "The cup is on the tray since it"}, []string{" is flat.", " is flat."}, []int{0, 0}, 1},
		},
		{PIQA, `{"goal":"To dry","sol1":"wait","sol2":"sun","label":1}`, want{[]string{"Question: To dry\nAnswer:"}, []string{" wait", " sun"}, []int{4, 3}, 1}},
		{
			"ARC_easy",
			`{"question":"Hot?","choices":{"text":["ice","fire","fog"],"label":["1","2","3"]},"answerKey":"2"}`,
			want{[]string{"Question: Hot?\nAnswer:"}, []string{" ice", " fire", " fog"}, []int{3, 4, 3}, 1},
		},
		{
			ARCChallenge,
			`{"question":{"stem":"Hot?","choices":[{"text":"ice","label":"A"},{"text":"fire","label":"B"}]},"answerKey":"A"}`,
			want{[]string{"Question: Hot?\nAnswer:"}, []string{" ice", " fire"}, []int{3, 4}, 0},
		},
	} {
		for _, data := range []string{c.data, "[" + c.data + "]", `{"rows":[{"row_idx":0,"row":` + c.data + `}]}`, "\xef\xbb\xbf" + c.data + "\n"} {
			it := parseOne(t, c.name, data)
			got := want{right: right(it)}
			for i, ch := range it.Choices {
				if i == 0 || ch.Prompt != it.Choices[0].Prompt {
					got.prompts = append(got.prompts, ch.Prompt)
				}
				got.endings, got.characters = append(got.endings, ch.Ending), append(got.characters, ch.Characters)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); d != "" {
				t.Errorf("%s: %s (-want +got):\n%s", c.name, data, d)
			}
		}
	}
}

func TestWinoGrandeRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row        string
		left, back string // text of the choices; "" where the row holds none
	}{
		{`0,The ball hit _ hard.,Tom,Ben,2`, "The ball hit Tom hard.", "The ball hit Ben hard."},
		{`7,"So, _ left.",Ann,Eve,1` + "\r", "So, Ann left.", "So, Eve left."},
		{`7,"He ""won"" _.",it,all,1`, `He ""won"" it.`, `He ""won"" all.`},
		{`1,_ is here.,A,B,2 `, "A is here.", "B is here."},
		{`qID,sentence,option1,option2,answer`, "", ""},
		{`0,No blank.,A,B,1`, "", ""},
		{`0,One _.,A,B,3`, "", ""},
		{`0,One _.,A,B,12`, "", ""},
		{`0,One _.,A,B,`, "", ""},
		{`0,"One _.,A,B,1`, "", ""},
		{`0,",A,B,1`, "", ""},
		{``, "", ""},
	} {
		choices, _, ok := winoGrandeRow(c.row)
		if ok != (c.left != "") {
			t.Errorf("%q: ok is %v", c.row, ok)
		} else if ok && (choices[0].Prompt+choices[0].Ending != c.left || choices[1].Prompt+choices[1].Ending != c.back) {
			t.Errorf("%q: %v", c.row, choices)
		}
	}
	task, err := Parse(WinoGrande, []byte("id,sentence,option1,option2,answer\n0,One _.,A,B,2\n\n1,Two _.,C,D,1"))
	if err != nil || len(task.Items) != 2 || task.Skipped != 2 || task.Items[1].Place != 4 {
		t.Errorf("%+v, %v", task, err)
	}
}

// Windows' line ends are no part of an item's text, in both of llama.cpp's forms of text.
func TestWindowsLines(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{HellaSwag: "So it\n0\nis red\nis\nis blue\nis big\n", WinoGrande: "0,One _ is.,A,B,2\n1,Two _ is.,C,D,1\n"} {
		want, err := Parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(name, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.Items, got.Items); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// A wrong file is an error that says what was seen and which forms are known.
func TestWrongForms(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(folder + "multiple-choice.bin")
	if err != nil {
		t.Fatal(err)
	}
	huge := append([]byte{255, 255, 255, 127}, binary[4:]...)
	for _, c := range []struct{ name, data, seen string }{
		{PIQA, "", "it is empty"},
		{PIQA, " \n", "it is empty"},
		{PIQA, "PAR1\x15\x04", "it is Parquet"},
		{PIQA, "Tom and Ben\n", `it begins with the text "Tom and Ben"`},
		{PIQA, `{"question":"x","choices":{}}`, `item 1: there is no "goal" among its fields (choices, question)`},
		{PIQA, `{"goal":"x","sol1":"a","sol2":7,"label":0}`, `"sol2" is not text`},
		{PIQA, `{"goal":"x","sol1":"a","sol2":"b"}`, `there is no "label" among its fields (goal, sol1, sol2); take a split whose answers are public`},
		{PIQA, `{"goal":"x","sol1":"a","sol2":"b","label":-1}`, `"label" is empty`},
		{PIQA, `{"goal":"x","sol1":"a","sol2":"b","label":2}`, "it has 2 choices and none is the right one"},
		{PIQA, `{"goal":"x","sol1":"a","sol2":"b","label":"x"}`, `"label" is "x", not a number`},
		{PIQA, `{"goal":"x"`, "after item 0 it is no JSON"},
		{PIQA, `[1, 2]`, "it is a JSON array, but not of objects"},
		{PIQA, `{"goal":"x","sol1":"a","sol2":"b","label":0} 3`, "item 2 is no JSON object"},
		{PIQA, `{"rows": 3}`, "not those of the Hugging Face datasets server"},
		{PIQA, `[]`, "it holds no item"},
		{HellaSwag, `{"activity_label":"A","ctx_a":"B","ctx_b":"","endings":["x","y"],"label":""}`, `"label" is empty`},
		{HellaSwag, `{"activity_label":"A","ctx_a":"B","ctx_b":"","endings":"x","label":"1"}`, `"endings" is not a list of texts`},
		{HellaSwag, "one\ntwo\n", "it is text of 2 lines"},
		{HellaSwag, "context\n4\na\nb\nc\nd\n", "line 2 is not the number of an ending"},
		{WinoGrande, "context\n1\na\nb\nc\nd\n", "no line is such a row"},
		{WinoGrande, `{"sentence":"x","option1":"a","option2":"b","answer":"1"}`, "there is no blank"},
		{WinoGrande, `{"sentence":"x _ ","option1":"a","option2":"b","answer":"1"}`, "nothing follows the blank"},
		{ARCEasy, `{"question":"x","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}`, `answerKey "C" is none of its labels A, B`},
		{ARCEasy, `{"question":"x","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}`, "not of one number"},
		{"mmlu", `{"question":"x"}`, "it is JSON, for which a prompt is needed"},
		{"mmlu", string(binary[:2000]), "ends beyond the file or is no record"},
		{"mmlu", string(huge), "it cannot hold the 2147483647 items"},
		{"mmlu", "\x01\x00", "it cannot hold"},
		{"mmlu", "\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "has no question or no answers"},
	} {
		_, err := Parse(c.name, []byte(c.data))
		var form *FormError
		if !errors.As(err, &form) || !strings.Contains(err.Error(), c.seen) || !strings.Contains(err.Error(), "binary multiple-choice form") {
			t.Errorf("%s, %.60q: %v, want %q", c.name, c.data, err, c.seen)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s, %.60q: more than one line: %v", c.name, c.data, err)
		}
	}
}

// Right answers in a file of their own, as PIQA's and WinoGrande's authors publish them; what is wrong with it names it.
func TestLabelsBeside(t *testing.T) {
	t.Parallel()
	const two = `{"goal":"To dry","sol1":"wait","sol2":"sun"}` + "\n" + `{"goal":"To wet","sol1":"rain","sol2":"sand"}` + "\n"
	for _, c := range []struct {
		name, data, labels string
		right              []int
		want               string
	}{
		{name: PIQA, data: two, labels: "1\n0\n", right: []int{1, 0}},
		{name: WinoGrande, data: `{"sentence":"A _ b.","option1":"x","option2":"y"}`, labels: "2", right: []int{1}},
		{name: PIQA, data: strings.ReplaceAll(two, "}", `,"label":1}`), labels: "0\n0\n", right: []int{1, 1}},
		{name: PIQA, data: two, want: `there is no "label" among its fields (goal, sol1, sol2), and no file dev-labels.lst beside it`},
		{name: PIQA, data: two, labels: "1\n", want: "the labels beside it, dev-labels.lst, are 1, for 2 items"},
		{name: PIQA, data: two, labels: "1\n7\n", want: "item 2: it has 2 choices and none is the right one"},
		{name: PIQA, data: two, labels: "1\nright\n", want: "not a number"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "dev.jsonl")
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.labels != "" {
			if err := os.WriteFile(filepath.Join(dir, "dev-labels.lst"), []byte(c.labels), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		task, err := ReadFile(c.name, path)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s with %q: %v, want %q", c.name, c.labels, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %q: %v", c.name, c.labels, err)
			continue
		}
		for i, want := range c.right {
			if got := right(task.Items[i]); got != want {
				t.Errorf("%s with %q: item %d has %d for right, want %d", c.name, c.labels, i, got, want)
			}
		}
	}
}

func TestChance(t *testing.T) {
	t.Parallel()
	task := &Task{Items: []Item{
		{Choices: make([]Choice, 4), Right: []bool{true, false, false, true}}, {Choices: make([]Choice, 4), Right: make([]bool, 4)},
	}}
	if c := task.Chance(); c != 0.25 {
		t.Errorf("chance is %v", c)
	}
}
