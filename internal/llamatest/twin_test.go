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
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/retype"
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

// Of a copy in F16, a tensor that lost columns is what the file's bytes mean, with zeros between; and the copy takes it as it is.
func TestSpreadOnTwin(t *testing.T) {
	slow := convert(t, tinyModel, "Q4_1")
	src, err := source.Open(t.Context(), source.Spec{Engine: llamabind.Runtime{}, Path: slow, Threads: 2, FlashAttn: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	blocks, err := src.FindBlocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	twin := retype.ForFit(src)
	p := repair.NewProjections(src.Spec.Engine, src.File, blocks).On(twin)
	ffn := blockmask.Block{Layer: 1, Kind: blockmask.FFN}
	all, reason, err := p.Projections(ffn)
	if err != nil || len(all) != 1 {
		t.Fatal(reason, err)
	}
	q := all[0]
	var kept []int
	for i := range q.In {
		if i%3 > 0 && len(kept) < q.In/64*32 {
			kept = append(kept, i)
		}
	}
	var narrow []float32
	for o := range q.Out {
		for _, i := range kept {
			narrow = append(narrow, q.Weights[o*q.In+i])
		}
	}
	n := fit.Narrowed{Tensor: q.Name}
	if n.Kept, err = blockmask.NewIndices(kept); err != nil {
		t.Fatal(err)
	}
	short := &fit.Projection{Name: q.Name, In: len(kept), Out: q.Out}
	if n.Data, err = p.Encode(short, narrow, nil); err != nil {
		t.Fatal(err)
	}
	filed, err := p.Decode(short, n.Data)
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.Spread(q, n)
	if err != nil {
		t.Fatal(err)
	}
	loaded := make([]float32, q.In*q.Out)
	if err := src.Spec.Engine.ToFloat(uint32(gguf.F16), data, loaded); err != nil {
		t.Fatal(err)
	}
	for o := range q.Out {
		for i := range q.In {
			want := float32(0)
			if at := slices.Index(kept, i); at >= 0 {
				want = filed[o*len(kept)+at]
			}
			if got := loaded[o*q.In+i]; math.Abs(float64(got-want)) > 1e-3*math.Abs(float64(want)) {
				t.Fatalf("row %d, column %d: %v is loaded, %v filed", o, i, got, want)
			}
		}
	}
	if plain, err := repair.NewProjections(src.Spec.Engine, src.File, blocks).Spread(q, n); plain != nil || err != nil {
		t.Errorf("without a copy: %d bytes, %v", len(plain), err)
	}
	if _, err := twin.Load(t.Context(), src, filepath.Join(t.TempDir(), "out.gguf"), progress.Silent{}); err != nil {
		t.Fatal(err)
	}
	session, err := src.Session(t.Context(), 1, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	runner := twin.Runner(session.(engine.BlockRunner), src)
	if err := runner.SetWeight(q.Name, data); err != nil {
		t.Error(err)
	}
	if err := runner.SetWeight(q.Name, data[2:]); err == nil {
		t.Error("bytes of another length are taken")
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
