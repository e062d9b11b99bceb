package tasks

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the items of testdata/tasks in llama.cpp's forms")

const folder = "../../testdata/tasks/"

func readItems(t *testing.T, name string) *Task {
	t.Helper()
	task, err := ReadFile(name, folder+name+".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// right is the index of an item's right choice.
func right(it Item) int {
	for i, r := range it.Right {
		if r {
			return i
		}
	}
	return -1
}

// The items in llama.cpp's forms are those in JSON, and what is read from either is the same text.
func TestDerivedForms(t *testing.T) {
	t.Parallel()
	hella, wino := readItems(t, HellaSwag), readItems(t, WinoGrande)
	var questions []Item
	for _, name := range []string{PIQA, ARCEasy, ARCChallenge} {
		questions = append(questions, readItems(t, name).Items...)
	}
	for name, data := range map[string][]byte{
		"hellaswag.txt": hellaSwagText(hella), "winogrande.csv": winoGrandeCSV(wino), "multiple-choice.bin": binaryForm(questions),
	} {
		if *update {
			if err := os.WriteFile(folder+name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if committed, err := os.ReadFile(folder + name); err != nil || !bytes.Equal(committed, data) {
			t.Errorf("%s does not hold the items (%v): go test ./internal/tasks -run Derived -update", name, err)
		}
		set, _, _ := strings.Cut(name, ".")
		got, err := Parse(set, data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := map[string][]Item{HellaSwag: hella.Items, WinoGrande: wino.Items, "multiple-choice": questions}[set]
		if len(got.Items) != len(want) {
			t.Fatalf("%s: %d items, want %d", name, len(got.Items), len(want))
		}
		for i, it := range got.Items {
			if fmt.Sprint(it.Choices, it.Right) != fmt.Sprint(want[i].Choices, want[i].Right) && set != WinoGrande {
				t.Errorf("%s, item %d: %v, want %v", name, i+1, it, want[i])
			}
			if set == WinoGrande && (right(it) != right(want[i]) || it.Choices[1].Prompt+it.Choices[1].Ending != sentence(want[i].Choices[1])) {
				t.Errorf("%s, item %d: %v, want %v", name, i+1, it, want[i])
			}
		}
	}
}

// sentence undoes the space that the harness puts in front of a full stop.
func sentence(c Choice) string {
	if rest := strings.TrimPrefix(c.Ending, " "); strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, ",") {
		return c.Prompt + rest
	}
	return c.Prompt + c.Ending
}

func hellaSwagText(t *Task) []byte {
	var b bytes.Buffer
	for _, it := range t.Items {
		fmt.Fprintf(&b, "%s\n%d\n", it.Choices[0].Prompt, right(it))
		for _, c := range it.Choices {
			fmt.Fprintln(&b, c.Ending[1:])
		}
	}
	return b.Bytes()
}

func winoGrandeCSV(t *Task) []byte {
	var b bytes.Buffer
	for i, it := range t.Items {
		first, second := it.Choices[0].Prompt, it.Choices[1].Prompt
		n := commonText(first, second)
		blank := first[:n] + "_" + strings.TrimPrefix(sentence(it.Choices[0]), first)
		if strings.Contains(blank, ",") {
			blank = `"` + blank + `"`
		}
		fmt.Fprintf(&b, "%d,%s,%s,%s,%d\n", i, blank, first[n:], second[n:], 1+right(it))
	}
	return b.Bytes()
}

// commonText is the length of the words that a and b share at their beginnings.
func commonText(a, b string) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		if a[i] == ' ' {
			n = i + 1
		}
	}
	return n
}

func binaryForm(items []Item) []byte {
	u32 := func(b []byte, n int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(n)) }
	str := func(b []byte, s string) []byte { return append(u32(b, len(s)), s...) }
	head := u32(nil, len(items))
	var body []byte
	for _, it := range items {
		head = u32(head, 4+4*len(items)+len(body))
		body = str(body, it.Choices[0].Prompt)
		body = u32(body, len(it.Choices))
		for _, c := range it.Choices {
			body = str(body, c.Ending[1:])
		}
		for _, r := range it.Right {
			n := 0
			if r {
				n = 1
			}
			body = u32(body, n)
		}
		body = u32(body, 0) // mc2
	}
	return append(head, body...)
}
