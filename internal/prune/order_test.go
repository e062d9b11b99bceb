package prune

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/search"
)

// An order that a search wrote makes the files of its plan, but for the scores that it lacks.
func TestOrderOfASearch(t *testing.T) {
	t.Parallel()
	e, dir := enginetest.Runtime{}, t.TempDir()
	j := pruneJob(t, e).SearchJob
	j.SavePlan, j.Order = filepath.Join(dir, "plan.json"), filepath.Join(dir, "order.json")
	found, err := Search(t.Context(), j, new(progresstest.Listener))
	if err != nil || found.Order != j.Order {
		t.Fatalf("%+v, %v", found, err)
	}
	written := map[string]*Outcome{}
	for name, a := range map[string]ApplyJob{"plan": {Plan: j.SavePlan}, "order": {Order: j.Order}} {
		a.Common, a.Goal = j.Common, search.Goal{Blocks: 1}
		a.Output = filepath.Join(dir, name+".gguf")
		if written[name], err = Apply(t.Context(), a, new(progresstest.Listener)); err != nil {
			t.Fatal(err)
		}
	}
	ofPlan, ofOrder := written["plan"], written["order"]
	if !ofPlan.Removed.Equal(ofOrder.Removed) || len(ofOrder.Steps) != 1 || ofOrder.Removed.Len() != 1 {
		t.Errorf("the plan removes %s, the order %s", ofPlan.Removed, ofOrder.Removed)
	}
	for i, s := range ofOrder.Plan.Steps {
		p := found.Steps[i]
		if !s.Removed.Equal(p.Removed) || s.ParamsRemoved != p.ParamsRemoved || s.Ratio != p.Ratio || (s.Size > 0) != (p.Size > 0) || !math.IsNaN(s.Score) {
			t.Errorf("step %d is %+v, in the plan %+v", i+1, s, p)
		}
	}
	tensors := func(path string) (names []string, keys []string) {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, tensor := range f.Tensors() {
			names = append(names, tensor.Name)
		}
		for _, kv := range f.KVs() {
			if key, ours := strings.CutPrefix(kv.Key, "ggufprune."); ours {
				keys = append(keys, key)
			}
		}
		return names, keys
	}
	planned, _ := tensors(ofPlan.Write.Path)
	ordered, keys := tensors(ofOrder.Write.Path)
	if !slices.Equal(planned, ordered) {
		t.Errorf("the plan's file has %v, the order's %v", planned, ordered)
	}
	for _, key := range []string{"scores", "base_score", "metric", "calibration"} {
		if slices.Contains(keys, key) {
			t.Errorf("the order's file has %s", key)
		}
	}
	if !slices.Contains(keys, "removed") || !slices.Contains(keys, "source.sha256") {
		t.Errorf("the order's file has only %v", keys)
	}
}

// Where an order cannot be written, that is told before the model is loaded; and what an order lacks, before it is.
func TestOrderIsCheckedFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := filepath.Join(dir, "full.json")
	if err := os.WriteFile(full, []byte(`{"1": [["mha", 0], ["mlp", 0]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	j := pruneJob(t, enginetest.Runtime{OnLoad: func(string) error { t.Error("loaded in vain"); return nil }}).SearchJob
	j.SavePlan = filepath.Join(dir, "plan.json")
	for path, want := range map[string]string{
		full: "--force", j.SavePlan: "is the plan or its journal", j.SavePlan + ".journal": "is the plan or its journal", filepath.Join(dir, "no", "o.json"): "order: ",
	} {
		j.Order = path
		if _, err := Search(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	a := ApplyJob{Common: j.Common, Order: full}
	if _, err := Apply(t.Context(), a, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), full+` is no usable order: key "1": it has 2 blocks, not 1`) {
		t.Errorf("an order that is none: %v", err)
	}
}
