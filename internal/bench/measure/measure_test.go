package measure

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

// Pieces hold all lines, and no text is used up before the others have had their turn.
func TestPiecesInTurn(t *testing.T) {
	t.Parallel()
	a, b := pieces("one\ntwo\n\nthree\n", 6), pieces("x", 6)
	if !slices.Equal(a, []string{"one\ntwo", "three"}) || !slices.Equal(b, []string{"x"}) {
		t.Fatalf("%q, %q", a, b)
	}
	if got := turns([][]string{a, b, nil}); !slices.Equal(got, []string{"one\ntwo", "x", "three"}) {
		t.Errorf("%q", got)
	}
}

// A text alone is taken as it is; of several, pieces stand in the file in turn.
func TestCalibration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "calibration.jsonl")
	var paths []string
	for _, name := range []string{"a.txt", "b.txt"} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte(strings.Repeat(name+" is a line.\n", 200)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Calibration(paths[0], out); err != nil || got != paths[0] {
		t.Errorf("%s, %v", got, err)
	}
	got, err := Calibration(strings.Join(paths, ","), out)
	if err != nil || got != out {
		t.Fatalf("%s, %v", got, err)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		var record struct{ Text string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasPrefix(record.Text, []string{"a.txt", "b.txt"}[n%2]) {
			t.Errorf("%d: %s, %v", n, line, err)
		}
		n++
	}
	if n < 4 {
		t.Errorf("%d pieces", n)
	}
}

// result is one of a task without acc_norm, with answers that are right or not.
func result(right ...bool) *tasks.Result {
	r := &tasks.Result{Task: &tasks.Task{}}
	for _, x := range right {
		r.Answers = append(r.Answers, tasks.Answer{Right: x, RightNorm: !x})
	}
	return r
}

// Tasks count the same whatever their sizes, and an item that both models answer alike adds nothing to the error of the drop.
func TestMeanDrop(t *testing.T) {
	t.Parallel()
	before := []*tasks.Result{result(true, true, true, false), result(true, false)}
	after := []*tasks.Result{result(true, false, true, false), result(true, false)}
	d := MeanDrop(Each(before, Right), Each(after, Right))
	// The differences are 0, 1, 0, 0 with a variance of 1/4, and 0, 0; each mean's variance is that over the items.
	for _, c := range []struct{ got, want float64 }{
		{d.Before, (0.75 + 0.5) / 2},
		{d.After, 0.5},
		{d.Drop, 0.125},
		{d.DropErr, math.Sqrt(0.25/4) / 2},
		{d.BeforeErr, math.Sqrt(0.25/4+0.5/2) / 2},
		{d.AfterErr, math.Sqrt(1./3/4+0.5/2) / 2},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%+v: %v, want %v", d, c.got, c.want)
		}
	}
	// Without acc_norm, acc is the headline; with it, the drop has the other sign here.
	if got := MeanDrop(Each(before, RightHeadline), Each(after, RightHeadline)).Drop; got != d.Drop {
		t.Errorf("headline without acc_norm: %v", got)
	}
	for _, r := range slices.Concat(before, after) {
		r.Task.Norm = tasks.Characters
	}
	if got := MeanDrop(Each(before, RightHeadline), Each(after, RightHeadline)).Drop; got != -d.Drop {
		t.Errorf("headline with acc_norm: %v", got)
	}
}

func TestTaskFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := TaskFiles(dir); err == nil {
		t.Error("a folder without tasks is no error")
	}
	for _, name := range []string{"README.md", "arc_easy.jsonl", "piqa.jsonl", "piqa.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := TaskFiles(dir)
	want := []evaluate.TaskFile{{Name: tasks.ARCEasy, Path: filepath.Join(dir, "arc_easy.jsonl")}, {Name: tasks.PIQA, Path: filepath.Join(dir, "piqa.jsonl")}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
