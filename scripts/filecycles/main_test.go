package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMeasure measures a module of two packages, whose cycles go over a function, a method, a field and another package's generic
// function.
func TestMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example.com/m\n\ngo 1.26\n",
		"a.go":           "package m\n\nimport \"slices\"\n\ntype A struct{ field int }\n\nfunc useB(bs []B) { slices.Clone(bs)[0].method() }\n",
		"b.go":           "package m\n\ntype B struct{}\n\nfunc (B) method() { c() }\n",
		"c.go":           "package m\n\nimport \"example.com/m/other\"\n\nfunc c() { _ = other.Make[A]().field }\n",
		"below.go":       "package m\n\nconst below = 1\n",
		"above.go":       "package m\n\nvar above = below + A{}.field\n",
		"a_test.go":      "package m\n\nvar _ = above\n",
		"other/other.go": "package other\n\nfunc Make[T any]() T { return zero[T]() }\n",
		"other/zero.go":  "package other\n\nfunc zero[T any]() (t T) { return t }\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	results, err := measure(dir, []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 {
		t.Fatalf("%d packages, want 2", len(results))
	}
	other, m := results[0], results[1]
	if m.Package != "example.com/m" || m.Files != 5 || m.Lines != 7+5+5+3+3 {
		t.Errorf("%+v: wrong package, files or lines", m)
	}
	if want := []string{"a.go", "b.go", "c.go"}; !slices.Equal(m.Cycle, want) {
		t.Errorf("cycle %v, want %v", m.Cycle, want)
	}
	if other.Files != 2 || other.Cycle != nil {
		t.Errorf("%+v: want two files that stand in no cycle", other)
	}
}

func TestLargestCycle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ edges, want string }{
		{"", ""},
		{"aa", ""},
		{"ab bc", ""},
		{"ab ba", "a b"},
		{"ab ba cd de ec", "c d e"},
		{"ab ba bc cd dc", "a b"},
		{"ab bc cd da ac", "a b c d"},
	} {
		uses := map[string]map[string]bool{}
		for edge := range strings.FieldsSeq(c.edges) {
			if uses[edge[:1]] == nil {
				uses[edge[:1]] = map[string]bool{}
			}
			uses[edge[:1]][edge[1:]] = true
		}
		if got := strings.Join(largestCycle(uses), " "); got != c.want {
			t.Errorf("%q: %q, want %q", c.edges, got, c.want)
		}
	}
}
