//go:build cgo

package llamatest

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

// convert has llama.cpp's quantiser write the model in as the file type typ.
func convert(t *testing.T, in, typ string) string {
	t.Helper()
	ft, err := llamabind.ParseFileType(typ)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), typ+".gguf")
	p := engine.QuantizeParams{Type: ft, Threads: 2, AllowRequantize: true, Pure: true}
	if err := (llamabind.Runtime{}).Quantize(t.Context(), in, out, p, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

// A search of a Q4_1 model, and the repair behind it, run on a copy in F16: the scores are those of the file that llama-quantize makes in
// F16, digit for digit, and close to those of the model itself, which the check of the repaired file runs on.
func TestSearchOnTwin(t *testing.T) {
	slow := convert(t, tinyModel, "Q4_1")
	searched := func(path string) (*prune.Outcome, []string) {
		t.Helper()
		j := prune.Job{Writing: prune.Writing{Output: filepath.Join(t.TempDir(), "out.gguf")}}
		j.Common = prune.Common{
			Spec:   source.Spec{Engine: llamabind.Runtime{}, Path: path, Threads: 2, FlashAttn: "auto"},
			Text:   corpus.Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 4},
			Layout: layout.Auto, Tool: "test", Repair: repair.Options{Method: fit.Map, Tokens: 1024},
		}
		j.Options = find.Options{Goal: search.Goal{Blocks: 2}, Unit: blockmask.Mix, Method: find.Method{Strategy: "greedy"}}
		sink := new(progresstest.Listener)
		out, err := prune.Run(t.Context(), j, sink)
		if err != nil {
			t.Fatal(err)
		}
		return out, sink.Notes
	}
	twin, notes := searched(slow)
	const copied = "%s takes %s in %s while it is loaded"
	if !slices.Contains(notes, copied) {
		t.Errorf("no word of a copy in %q", notes)
	}
	if twin.Repair == nil || len(twin.Repair.Weights) == 0 {
		t.Errorf("nothing is repaired: %+v", twin.Repair)
	}
	plain, notes := searched(convert(t, slow, "F16"))
	if slices.Contains(notes, copied) {
		t.Errorf("a copy of F16 in %q", notes)
	}
	if twin.Plan.Base != plain.Plan.Base || len(twin.Steps) != 2 || len(plain.Steps) != 2 {
		t.Fatalf("PPL %v and %v, %d and %d steps", twin.Plan.Base, plain.Plan.Base, len(twin.Steps), len(plain.Steps))
	}
	for i, s := range twin.Steps {
		if s.Score != plain.Steps[i].Score || s.Removed.String() != plain.Steps[i].Removed.String() {
			t.Errorf("step %d: %s with %v, and %s with %v", i+1, s.Removed, s.Score, plain.Steps[i].Removed, plain.Steps[i].Score)
		}
	}
	if own := plainPPL(t, slow, twin.Removed); math.Abs(own/twin.Steps[1].Score-1) > 0.02 || own == twin.Steps[1].Score {
		t.Errorf("the model itself has PPL %v without %s, its copy %v", own, twin.Removed, twin.Steps[1].Score)
	}
}

// plainPPL is a model's perplexity on the tests' text without some blocks.
func plainPPL(t *testing.T, path string, removed blockmask.Mask) float64 {
	t.Helper()
	out, err := evaluate.PPL(t.Context(), evaluate.PPLJob{
		Spec:   source.Spec{Engine: llamabind.Runtime{}, Path: path, Threads: 2, FlashAttn: "auto"},
		Text:   corpus.Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 4},
		UBatch: 128, Mask: removed,
	}, progress.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Estimate.PPL
}
