package prune

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

const (
	tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"
	tinyText  = "../../testdata/simple.jsonl"
)

// common asks for little text of the small model, on a runtime of the tests' own.
func common(e enginetest.Runtime) Common {
	return Common{
		Spec:   source.Spec{Engine: e, Path: tinyModel, Threads: 1, FlashAttn: "auto"},
		Text:   corpus.Text{File: tinyText, Convention: perplexity.Samples, Context: 64, Batch: 128, Max: 4},
		Layout: layout.Auto, Tool: "test",
	}
}

// pruneJob removes two blocks with the paper's search.
func pruneJob(t *testing.T, e enginetest.Runtime) Job {
	t.Helper()
	dir := t.TempDir()
	var j Job
	j.Common = common(e)
	j.Options = find.Options{Unit: blockmask.Mix, Goal: search.Goal{Blocks: 2}, Method: find.Method{Strategy: "greedy"}}
	j.SavePlan, j.Output = filepath.Join(dir, "plan.json"), filepath.Join(dir, "out.gguf")
	return j
}

// The whole job: what is removed is what hurts least, the file holds what is left, and the plan says the same.
func TestRun(t *testing.T) {
	t.Parallel()
	j := pruneJob(t, enginetest.Runtime{})
	j.Compare = &compare.Job{Text: corpus.Text{Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 2}, UBatch: 128}
	out, err := Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range out.Steps {
		for _, c := range s.Candidates {
			if c.Score < s.Score {
				t.Errorf("step %d removes %s at %v, but %s would be %v", s.Index, s.Removed, s.Score, c.Mask, c.Score)
			}
		}
	}
	if k := out.Write.Check; k == nil || !k.Exact || k.MaxAbsDiff != 0 || k.Masked.PPL != k.Written.PPL {
		t.Errorf("check %+v", k)
	}
	f, err := gguf.Open(j.Output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if mask := source.Text(f, "ggufprune.mask"); mask != out.Removed.String() || out.Removed.Len() != 2 || len(out.Steps[0].Candidates) != 24 || f.Params() >= out.Model.Params {
		t.Errorf("mask %q, %d of %d parameters", mask, f.Params(), out.Model.Params)
	}
	if c := out.Comparison; c == nil || len(c.Rows) != 2 || !(c.Rows[1].KL.KLD.Value > 0) {
		t.Errorf("comparison %+v", c)
	}

	// A plan's first step makes another file, and all of it the same one.
	a := ApplyJob{Common: j.Common, Plan: j.SavePlan, Writing: Writing{Output: t.TempDir()}}
	var written []string
	err = ApplyAll(t.Context(), a, []search.Goal{{Blocks: 1}, {Blocks: 2}}, new(progresstest.Listener), func(o *Outcome) {
		written = append(written, o.Write.SHA256)
	})
	if err != nil || len(written) != 2 || written[0] == written[1] || written[1] != out.Write.SHA256 {
		t.Errorf("files %v of the plan, %s of the job, %v", written, out.Write.SHA256, err)
	}
}

// A Modelfile that is in the way of one of several files shows before the first is written.
func TestModelfilesOfSeveral(t *testing.T) {
	t.Parallel()
	j := pruneJob(t, enginetest.Runtime{}).SearchJob
	if _, err := Search(t.Context(), j, new(progresstest.Listener)); err != nil {
		t.Fatal(err)
	}
	a := ApplyJob{Common: j.Common, Plan: j.SavePlan, Writing: Writing{Output: t.TempDir(), NoCheck: true}}
	a.Spec.Ref = &modelref.Ref{Ollama: &modelref.Ollama{Name: "tiny:latest"}}
	var last *Outcome
	keep := func(o *Outcome) { last = o }
	if err := ApplyAll(t.Context(), a, nil, new(progresstest.Listener), keep); err != nil || last == nil || last.Publish.Modelfile == "" {
		t.Fatalf("%+v, %v", last, err)
	}
	files, err := filepath.Glob(filepath.Join(a.Output, "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if f != last.Publish.Modelfile {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = ApplyAll(t.Context(), a, nil, new(progresstest.Listener), func(*Outcome) { t.Error("one is written") })
	if !errors.Is(err, outfile.ErrExists) || !strings.Contains(err.Error(), ".Modelfile") {
		t.Errorf("%v", err)
	}
}

// Pairs of a mixer and an FFN leave full layers, those of two layers too: the file keeps the model's architecture.
func TestPairsStayNative(t *testing.T) {
	t.Parallel()
	j := pruneJob(t, enginetest.Runtime{})
	j.Unit, j.Goal.Blocks, j.Layout = blockmask.Pairs, 8, layout.Native
	out, err := Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(j.Output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	layers, _, err := f.Uint("llama.block_count")
	if out.Write.Layout.Kind != layout.Native || f.Arch() != "llama" || layers != 8 || err != nil {
		t.Errorf("layout %s, %s of %d layers, %v", out.Write.Layout.Kind, f.Arch(), layers, err)
	}
	joined := slices.ContainsFunc(out.Steps, func(s search.Step) bool { return s.Removed[0].Layer != s.Removed[1].Layer })
	if !joined {
		t.Errorf("only whole layers went: %s; the test wants a pair of two", out.Removed)
	}
}

// A file that computes something else is not there afterwards.
func TestRunRemovesWrongFiles(t *testing.T) {
	t.Parallel()
	j := pruneJob(t, enginetest.Runtime{Wrong: func(path string) bool { return path != tinyModel }})
	_, err := Run(t.Context(), j, new(progresstest.Listener))
	var check *write.CheckError
	if !errors.As(err, &check) {
		t.Errorf("%v", err)
	}
	files, err := os.ReadDir(filepath.Dir(j.Output))
	if err != nil || len(files) != 1 || files[0].Name() != "plan.json" {
		t.Errorf("left: %v, %v", files, err)
	}
}

// A search alone writes the plan that the whole job makes.
func TestSearch(t *testing.T) {
	t.Parallel()
	whole := pruneJob(t, enginetest.Runtime{})
	job := whole.SearchJob
	job.SavePlan = filepath.Join(t.TempDir(), "plan.json")
	found, err := Search(t.Context(), job, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), whole, new(progresstest.Listener))
	if err != nil || !found.Removed.Equal(out.Removed) || found.Write != nil {
		t.Errorf("%s and %s, %v", found.Removed, out.Removed, err)
	}
	for _, left := range []string{job.SavePlan + ".journal", whole.SavePlan + ".journal"} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", left, err)
		}
	}
}

// What is in the way is told before a model is loaded.
func TestNothingIsLoadedInVain(t *testing.T) {
	t.Parallel()
	loaded := enginetest.Runtime{OnLoad: func(string) error { return errors.New("loaded in vain") }}
	for name, spoil := range map[string]func(j *Job){
		"there is an output":    func(j *Job) { os.WriteFile(j.Output, nil, 0o600) },
		"there is a plan":       func(j *Job) { os.WriteFile(j.SavePlan, nil, 0o600) },
		"output is the plan":    func(j *Job) { j.Output = j.SavePlan },
		"output is the model":   func(j *Job) { j.Output, j.Force = tinyModel, true },
		"no folder":             func(j *Job) { j.Output = filepath.Join(j.Output, "no", "out.gguf") },
		"the text is not there": func(j *Job) { j.Text.File = "no.txt" },
	} {
		j := pruneJob(t, loaded)
		spoil(&j)
		if _, err := Run(t.Context(), j, new(progresstest.Listener)); err == nil || strings.Contains(err.Error(), "in vain") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
