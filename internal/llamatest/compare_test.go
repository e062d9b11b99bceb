//go:build cgo

package llamatest

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// compareJob compares the small model with itself on a little text.
func compareJob(e engine.Runtime) compare.Job {
	return compare.Job{
		Spec:   source.Spec{Engine: e, Threads: 2, FlashAttn: "auto"},
		Models: []compare.Contender{{Label: "a", Path: tinyModel}, {Label: "b", Path: tinyModel}},
		Text:   corpus.Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 3}, UBatch: 128,
	}
}

// loadUpTo loads models as long as fewer than most are open.
func loadUpTo(most int, open, peak *int) watched {
	return watched{load: func(string, engine.ModelParams) error {
		if *open == most {
			return errors.New("out of memory")
		}
		return nil
	}, loaded: func() {
		*open++
		*peak = max(*peak, *open)
	}, closed: func() { *open-- }}
}

// A model does not differ from itself but by the rounding of the base's predictions; and all of it is closed in the end.
func TestCompareWithItself(t *testing.T) {
	var open, peak int
	j := compareJob(loadUpTo(2, &open, &peak))
	j.Models = append(j.Models, compare.Contender{Label: "c", Path: tinyModel})
	j.Speed = &compare.SpeedTest{Prompt: 8, Generate: 2, Repeats: 2}
	c, err := compare.Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	if open != 0 || peak != 2 {
		t.Errorf("%d models are open, %d were at once", open, peak)
	}
	if len(c.Rows) != 3 || c.Rows[0].KL != nil || c.Windows != 3 || c.Positions != 3*31 || c.Rival != nil || c.Verdict != "" {
		t.Fatalf("%+v", c)
	}
	for _, r := range c.Rows[1:] {
		if k := r.KL; math.Abs(k.KLD.Value) > 1e-4 || k.SameTop.Value < 0.97 || r.PPL.Value < 1 || r.Speed == nil {
			t.Errorf("%s: %+v", r.Label, r)
		}
	}
	if a, b := c.Rows[1].KL, c.Rows[2].KL; *a != *b {
		t.Errorf("two runs differ: %+v, %+v", a, b)
	}
	first, other := c.Rows[0].Speed, c.Rows[1].Speed
	if first.Prompt.Repeats != 4 || first.PromptRatio.Repeats != 0 || other.Prompt.Repeats != 2 || other.GenerateRatio.Mean <= 0 {
		t.Errorf("speeds %+v, %+v", first, other)
	}
}

// Where two models do not fit into memory, what they predict is compared all the same.
func TestCompareInLittleMemory(t *testing.T) {
	var open, peak int
	j := compareJob(loadUpTo(1, &open, &peak))
	j.Speed = &compare.SpeedTest{Prompt: 8, Generate: 2, Repeats: 2}
	l := new(progresstest.Listener)
	c, err := compare.Run(t.Context(), j, l)
	if err != nil {
		t.Fatal(err)
	}
	if open != 0 || peak != 1 {
		t.Errorf("%d models are open, %d were at once", open, peak)
	}
	if c.Speed != nil || c.Rows[0].Speed != nil || c.Rows[1].Speed != nil || c.Rows[1].KL == nil {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(strings.Join(l.Notes, "\n"), "speeds are not compared") {
		t.Errorf("notes %q", l.Notes)
	}
}

func TestCompareCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var open, peak int
	l := new(progresstest.Listener)
	loads := loadUpTo(2, &open, &peak)
	count := loads.load
	loads.load = func(path string, p engine.ModelParams) error {
		if open == 0 && peak == 1 { // the second one
			cancel()
		}
		return count(path, p)
	}
	j := compareJob(loads)
	if _, err := compare.Run(ctx, j, l); !errors.Is(err, context.Canceled) || open != 0 {
		t.Errorf("%v, %d models are open", err, open)
	}
}

// What a pruned model without its repair is in a comparison, where it has no file, is what its file would be.
func TestCompareWithoutFile(t *testing.T) {
	apply := applyJob(t, func(string) error { return nil })
	apply.NoCheck = true
	out, err := prune.Apply(t.Context(), apply, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	j := compareJob(llamabind.Runtime{})
	facts := compare.FileFacts{Arch: "deci", Bytes: out.Write.Bytes, Params: 7}
	j.Models = []compare.Contender{{Label: "original", Path: tinyModel, Removed: nil, File: compare.FileFacts{}}, {Label: "pruned", Path: tinyModel, Removed: apply.Mask, File: facts}, {Label: "file", Path: apply.Output, Removed: nil, File: compare.FileFacts{}}}
	c, err := compare.Run(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	without, with := c.Rows[1], c.Rows[2]
	if *without.KL != *with.KL || !(without.KL.KLD.Value > 0) {
		t.Errorf("without a file KLD %v, PPL %v, with it %v, %v", without.KL.KLD, without.PPL, with.KL.KLD, with.PPL)
	}
	if without.Path != "" || without.Speed != nil || without.Bytes != with.Bytes || without.Params != 7 || without.Pruned != compare.Pruned || with.Pruned != compare.Pruned || c.Rows[0].Pruned != "" {
		t.Errorf("rows %+v and %+v", without, with)
	}
}
