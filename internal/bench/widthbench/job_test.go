package widthbench

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/tasks"
)

func TestFigureNames(t *testing.T) {
	t.Parallel()
	o := options{judgeTexts: "a/wiki.test.txt,b/instr.jsonl", ratio: 0.07}
	got, err := o.judges()
	if want := []text{{"wiki.test", "a/wiki.test.txt"}, {"instr", "b/instr.jsonl"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	o.names = "wiki,other"
	if got, err = o.judges(); err != nil || got[0].name != "wiki" || got[1].name != "other" {
		t.Errorf("%v, %v", got, err)
	}
	o.names = "wiki"
	if _, err = o.judges(); err == nil {
		t.Error("one name for two texts is no error")
	}
	if got := join("width", o.percent(), "", "wiki", "ratio"); got != "width_07_wiki_ratio" {
		t.Error(got)
	}
}

// Only what the user says is said to prune.
func TestPruneArgs(t *testing.T) {
	t.Parallel()
	o := options{model: "m.gguf", ratio: 0.2, threads: 2, tokens: 4096, seed: 3}
	got := strings.Join(o.pruneArgs("o.gguf", "p.json", nil), " ")
	if want := "prune --model m.gguf --ratio 0.2 --threads 2 --output o.gguf --plan p.json --no-compare"; got != want {
		t.Error(got)
	}
	o.fitTexts, o.given = "a,b", map[string]bool{"tokens": true, "seed": true}
	got = strings.Join(o.pruneArgs("o.gguf", "p.json", []string{"--kind", "mix"}), " ")
	if want := "--no-compare --repair-text a --repair-text b --repair-tokens 4096 --seed 3 --kind mix"; !strings.HasSuffix(got, want) {
		t.Error(got)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	o := options{output: "d/small.gguf", run: &run{}}
	for suffix, want := range map[string]string{"": "d/small.gguf", "-blocks": "d/small-blocks.gguf"} {
		if got, err := o.destination(suffix); err != nil || got != want {
			t.Errorf("%q: %s, %v", suffix, got, err)
		}
	}
}

func TestReadPPL(t *testing.T) {
	t.Parallel()
	if got, err := readPPL(`{"command": "ppl", "ppl": 12.5}`); err != nil || got != 12.5 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", `{"ppl": null}`, "PPL = 3"} {
		if _, err := readPPL(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

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
	d := meanDrop(before, after, right)
	// The differences are 0, 1, 0, 0 with a variance of 1/4, and 0, 0; each mean's variance is that over the items.
	for _, c := range []struct{ got, want float64 }{
		{d.before, (0.75 + 0.5) / 2},
		{d.after, 0.5},
		{d.drop, 0.125},
		{d.dropErr, math.Sqrt(0.25/4) / 2},
		{d.beforeErr, math.Sqrt(0.25/4+0.5/2) / 2},
		{d.afterErr, math.Sqrt(1./3/4+0.5/2) / 2},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%+v: %v, want %v", d, c.got, c.want)
		}
	}
	// Without acc_norm, acc is the headline; with it, the drop has the other sign here.
	if got := meanDrop(before, after, rightHeadline).drop; got != d.drop {
		t.Errorf("headline without acc_norm: %v", got)
	}
	for _, r := range slices.Concat(before, after) {
		r.Task.Norm = tasks.Characters
	}
	if got := meanDrop(before, after, rightHeadline).drop; got != -d.drop {
		t.Errorf("headline with acc_norm: %v", got)
	}
}

func TestTaskFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := taskFiles(dir); err == nil {
		t.Error("a folder without tasks is no error")
	}
	for _, name := range []string{"README.md", "arc_easy.jsonl", "piqa.jsonl", "piqa.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := taskFiles(dir)
	want := []evaluate.TaskFile{{Name: tasks.ARCEasy, Path: filepath.Join(dir, "arc_easy.jsonl")}, {Name: tasks.PIQA, Path: filepath.Join(dir, "piqa.jsonl")}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	tensor := func(name string, size int64, dims ...uint64) gguf.Tensor {
		return gguf.Tensor{Name: name, Dims: dims, Size: size}
	}
	embedding := tensor("token_embd.weight", 1000, 10, 100)
	block := []gguf.Tensor{
		tensor("blk.0.attn_output.weight", 100, 10, 10), tensor("blk.0.ffn_down.weight", 200, 20, 10), tensor("blk.0.ffn_norm.weight", 40, 10),
	}
	// 300 in matrices, 10 a position in sight for scores and as many for values, and the head for one of 4 positions.
	const want = 300 + 2*10*2.5 + 1000./4
	for _, c := range []struct {
		name    string
		tensors []gguf.Tensor
		bytes   float64
	}{{"tied", append(block[:3:3], embedding), 1340}, {"untied", append(block[:3:3], embedding, tensor("output.weight", 2000, 10, 100)), 2340}} {
		if got, err := loadOf(c.tensors, 4); err != nil || got != (load{c.bytes, want}) {
			t.Errorf("%s: %+v, %v; want %v and %v", c.name, got, err, c.bytes, want)
		}
	}
	if _, err := loadOf([]gguf.Tensor{tensor("blk.0.ffn_down_exps.weight", 1, 2, 2, 2)}, 4); err == nil {
		t.Error("experts are no error")
	}
}
