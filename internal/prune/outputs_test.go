package prune

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/journal"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// widthPlan is a plan of the small model for the goal of j.
func widthPlan(t *testing.T, j SearchJob) *plan.Plan {
	t.Helper()
	f, err := gguf.Open(j.Spec.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := blockmask.Parse("attn:0-11,ffn:0-11")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := blockmask.ParseIndices("0-511")
	if err != nil {
		t.Fatal(err)
	}
	mask := blockmask.Of(blockmask.Cut{Block: blockmask.Block{Layer: 3, Kind: blockmask.FFN}, Channels: kept})
	sha := strings.Repeat("0", 64)
	return &plan.Plan{
		Metric: "ppl", Base: 10, Model: plan.Model{Path: j.Spec.Path, SHA256: sha, Params: f.Params(), Blocks: all}, Calibration: plan.Calibration{TokensSHA256: sha},
		Settings: search.Settings{Strategy: "width", Unit: blockmask.Width, Goal: j.Goal, Seed: j.Method.Seed},
		Steps:    []search.Step{{Index: 1, Removed: mask, Score: 11, ParamsRemoved: 100, Ratio: 100 / float64(f.Params())}},
	}
}

// A run of channels that was killed when its plan was saved goes on with the same command. Nothing else may replace a plan.
func TestPlanOfAnInterruptedFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(j *Job) // after the plan was written
		log    bool
		ok     bool
	}{
		"the same":     {func(*Job) {}, true, true},
		"forced":       {func(j *Job) { j.Force = true }, false, true},
		"no fit":       {func(*Job) {}, false, false},
		"another goal": {func(j *Job) { j.Goal.Ratio = 0.3 }, true, false},
		"another seed": {func(j *Job) { j.Method.Seed = 7 }, true, false},
		"a search":     {func(j *Job) { j.Unit = blockmask.Mix }, true, false},
		"no plan":      {func(j *Job) { os.WriteFile(j.SavePlan, []byte("mine"), 0o600) }, true, false},
	} {
		j := pruneJob(t, enginetest.Runtime{})
		j.Options = find.Options{Unit: blockmask.Width, Goal: search.Goal{Ratio: 0.2}}
		if err := planfile.Write(j.SavePlan, widthPlan(t, j.SearchJob)); err != nil {
			t.Fatal(err)
		}
		if c.log {
			log, err := repairlog.Open(j.Output, journal.Header{ModelSHA256: "m", Config: json.RawMessage("{}")}, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
		c.change(&j)
		if err := j.checkPlan(j.Output, nil); (err == nil) != c.ok || err != nil && !errors.Is(err, outfile.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		other := filepath.Join(t.TempDir(), "other.gguf")
		if err := j.checkPlan(other, nil); (err == nil) != j.Force {
			t.Errorf("%s, for another output: %v", name, err)
		}
	}
}

// Where the plan is saved and the file is not written, or the plan of an earlier run is in the way, the error says that apply can go on.
func TestPlanWithoutFile(t *testing.T) {
	t.Parallel()
	j := pruneJob(t, enginetest.Runtime{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, j, &progresstest.Listener{OnStart: func(label string) {
		if label == "write" {
			cancel()
		}
	}})
	planned := (*PlannedError)(nil)
	if !errors.As(err, &planned) || !planned.Saved || !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	_, err = Run(t.Context(), j, new(progresstest.Listener))
	if planned = nil; !errors.As(err, &planned) || planned.Saved || !errors.Is(err, outfile.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if err := j.planSaved(&write.CheckError{}, j.Repair); errors.As(err, &planned) {
		t.Errorf("of a file that fails its check: %v", err)
	}
	j.Spec.Path = "other.gguf"
	if err := j.planThere(outfile.ErrExists); !errors.Is(err, outfile.ErrExists) || errors.As(err, new(*PlannedError)) {
		t.Errorf("of another model: %v", err)
	}
}

func TestLeastOutput(t *testing.T) {
	t.Parallel()
	// Half of the parameters, and four fifths of the bytes, are in the layer.
	path := filepath.Join(t.TempDir(), "m.gguf")
	plan := &gguf.Plan{Tensors: []gguf.PlanTensor{
		{Name: "token_embd.weight", Type: gguf.Q8_0, Dims: []uint64{32, 100}, Data: gguf.Zeros(3400)},
		{Name: "blk.0.ffn_up.weight", Type: gguf.F32, Dims: []uint64{32, 100}, Data: gguf.Zeros(12800)},
	}}
	w, err := gguf.WriteTemp(t.Context(), path, plan, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, c := range map[string]struct {
		goal     search.Goal
		quantise string
		want     int64
	}{
		"a ratio":       {search.Goal{Ratio: 0.2}, "", int64(0.8 * (3400 + 0.6*12800))},
		"the layer":     {search.Goal{Ratio: 0.5}, "", 2720},
		"more than all": {search.Goal{Ratio: 0.9}, "", 2720},
		"a size":        {search.Goal{Size: 500}, "", 400}, "a size above the model's": {search.Goal{Size: 50000}, "", int64(0.8 * float64(f.Bytes()))},
		"blocks": {search.Goal{Blocks: 3}, "", 0}, "a speed": {search.Goal{Speedup: 1.2}, "", 0}, "quantised": {search.Goal{Ratio: 0.2}, "Q4_0", 0},
	} {
		var j Job
		j.Goal, j.Quantize.Params.Type.Name = c.goal, c.quantise
		if got := j.leastOutput(f); got < c.want-1 || got > c.want+1 {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
