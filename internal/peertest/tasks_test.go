//go:build cgo

package peertest

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/llamabind"
)

const items = root + "/testdata/tasks/"

// llamaRows returns what llama-perplexity prints for each item: the fields behind the item's number.
func llamaRows(t *testing.T, n int, row *regexp.Regexp, args ...string) [][]string {
	t.Helper()
	// As in llamaPerplexity, a run whose log lost lines is repeated.
	for range 5 {
		out, err := exec.Command(peer, append(args, "-t", threads)...).CombinedOutput()
		if err != nil {
			t.Fatalf("llama-perplexity: %v: %s", err, out[max(0, len(out)-500):])
		}
		if rows := row.FindAllStringSubmatch(string(out), -1); len(rows) == n {
			return rows
		}
	}
	t.Fatalf("llama-perplexity %v never printed %d items", args, n)
	return nil
}

// evaluate runs a file of the items through the tool.
func accuracy(t *testing.T, model, file string, draw int) *tasks.Result {
	t.Helper()
	name := "mixed"
	convention := tasks.LlamaMultipleChoice
	switch file {
	case "hellaswag.txt":
		name, convention = tasks.HellaSwag, tasks.LlamaHellaSwag
	case "winogrande.csv":
		name, convention = tasks.WinoGrande, tasks.LlamaWinoGrande
	}
	out, err := evaluate.Tasks(context.Background(), evaluate.TasksJob{
		Spec: source.Spec{Engine: llamabind.Runtime{}, Path: model, Threads: 2}, Tasks: []evaluate.TaskFile{{Name: name, Path: items + file}},
		Draw: map[tasks.Convention]int{convention: draw}, Batch: 2048, UBatch: 512,
	}, progress.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Results[0]
}

// The accuracy after every item, its interval, and the items that are drawn and their order are llama-perplexity's.
func TestHellaSwagEqualsLlamaPerplexity(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\d+\t([\d.]+)%\t\[([\d.]+)%, ([\d.]+)%\]$`)
	for _, c := range []struct {
		kind string
		n    int
	}{{"F16", 20}, {"Q8_0", 7}} {
		want := llamaRows(t, c.n, row, "-m", models[c.kind], "--hellaswag", "-f", items+"hellaswag.txt", "--hellaswag-tasks", strconv.Itoa(c.n))
		correct := 0
		for i, a := range accuracy(t, models[c.kind], "hellaswag.txt", c.n).Answers {
			if a.RightNorm {
				correct++
			}
			w := tasks.Wilson(correct, i+1)
			got := fmt.Sprintf("%.8f %.4f %.4f", 100*float64(correct)/float64(i+1), 100*w.Low, 100*w.High)
			if w := want[i]; got != w[1]+" "+w[2]+" "+w[3] {
				t.Errorf("%s, item %d of %d: %s, llama-perplexity %v", c.kind, i+1, c.n, got, w[1:])
			}
		}
	}
}

// The same of WinoGrande, where llama-perplexity prints the scores of both choices too. They differ by what another shape of
// batch rounds, which is more where activations are quantised.
func TestWinoGrandeEqualsLlamaPerplexity(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\d+\t[\d.]+\t *(-[\d.]+) +(-[\d.]+)  (\d)  (\d)$`)
	for _, c := range []struct {
		kind string
		n    int
	}{{"F16", 20}, {"Q8_0", 7}} {
		want := llamaRows(t, c.n, row, "-m", models[c.kind], "--winogrande", "-bf", items+"winogrande.csv", "--winogrande-tasks", strconv.Itoa(c.n))
		tolerance := map[string]float64{"F16": 0.002, "Q8_0": 0.1}[c.kind]
		for i, a := range accuracy(t, models[c.kind], "winogrande.csv", c.n).Answers {
			w := want[i]
			for k, score := range a.Normalised {
				if s, err := strconv.ParseFloat(w[1+k], 64); err != nil || math.Abs(s-score) > tolerance {
					t.Errorf("%s, item %d of %d, choice %d: %.6f, llama-perplexity %s", c.kind, i+1, c.n, k+1, score, w[1+k])
				}
			}
			if a.RightNorm != (w[3] == w[4]) {
				t.Errorf("%s, item %d of %d: right is %v, llama-perplexity chose %s of %s", c.kind, i+1, c.n, a.RightNorm, w[3], w[4])
			}
		}
	}
}

func TestMultipleChoiceEqualsLlamaPerplexity(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\d+\t([\d.]+)$`)
	for _, c := range []struct {
		kind string
		n    int
	}{{"F16", 60}, {"Q8_0", 17}} {
		// Its default of four sequences is too few for a question with five choices.
		want := llamaRows(t, c.n, row, "-m", models[c.kind], "--multiple-choice", "-bf", items+"multiple-choice.bin", "--multiple-choice-tasks",
			strconv.Itoa(c.n), "-np", "8")
		correct := 0
		for i, a := range accuracy(t, models[c.kind], "multiple-choice.bin", c.n).Answers {
			if a.RightNorm {
				correct++
			}
			if got := fmt.Sprintf("%.8f", 100*float64(correct)/float64(i+1)); got != want[i][1] {
				t.Errorf("%s, item %d of %d: %s, llama-perplexity %s", c.kind, i+1, c.n, got, want[i][1])
			}
		}
	}
}
