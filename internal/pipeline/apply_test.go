package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/ui"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
)

const (
	tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"
	tinyText  = "../../testdata/simple.jsonl"
)

type silent struct{ *ui.UI }

func (s silent) Start(label string, total int64) Progress { return s.UI.Start(label, total) }

func quiet() Reporter {
	return silent{ui.New(ui.Options{Out: &strings.Builder{}, Err: &strings.Builder{}, Level: ui.Quiet})}
}

// applyJob leaves one attention out of the small model. harm is called with each other file before it is loaded.
func applyJob(t *testing.T, harm func(path string) error) Job {
	t.Helper()
	mask, err := blockmask.Parse("attn:5")
	if err != nil {
		t.Fatal(err)
	}
	load := func(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error) {
		if path != tinyModel {
			if err := harm(path); err != nil {
				return nil, err
			}
		}
		m, err := llamabind.Runtime{}.Load(ctx, path, p)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return Job{
		Runtime: Runtime{Path: tinyModel, Threads: 2, FlashAttn: "auto", Load: load},
		Text:    Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 2},
		Layout:  layout.Auto, Mask: mask, Tool: "test", Output: filepath.Join(t.TempDir(), "out.gguf"),
	}
}

// overwrite puts n bytes of value b at offset of the file, counted from its end where it is negative.
func overwrite(path string, offset int64, n int, b byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if offset < 0 {
		offset += info.Size()
	}
	_, err = f.WriteAt([]byte(strings.Repeat(string([]byte{b}), n)), offset)
	return err
}

// A file that does not compute what the masked original computes is found, and is gone afterwards.
func TestCheckRemovesWrongFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(path string) error
		want string
	}{
		{"weights", func(p string) error { return overwrite(p, -2<<20, 4096, 0x11) }, "log-probabilities"},
		{"not finite", func(p string) error { return overwrite(p, -2<<20, 4096, 0x7f) }, "finite"},
		{"header", func(p string) error { return overwrite(p, 0, 4, 'x') }, "does not load"},
		{"cut off", func(p string) error { return os.Truncate(p, 1<<20) }, "does not load"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := applyJob(t, c.harm)
			_, err := Apply(t.Context(), j, quiet())
			var check *CheckError
			if !errors.As(err, &check) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a failed check about %q", err, c.want)
			}
			if left, err := os.ReadDir(filepath.Dir(j.Output)); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

// The same job without harm writes the file, and the check's numbers are those of identical models.
func TestApplyChecks(t *testing.T) {
	j := applyJob(t, func(string) error { return nil })
	out, err := Apply(t.Context(), j, quiet())
	if err != nil {
		t.Fatal(err)
	}
	k := out.Write.Check
	if k == nil || !k.Exact || k.MaxAbsDiff != 0 || k.Rows < 100 || k.Masked.PPL != k.Written.PPL {
		t.Errorf("check %+v", k)
	}
	if left, err := os.ReadDir(filepath.Dir(j.Output)); err != nil || len(left) != 1 || left[0].Name() != "out.gguf" {
		t.Errorf("in the folder: %v (%v), want the file alone", left, err)
	}
}

func TestCheckVerdict(t *testing.T) {
	row := []float32{1, 2, 3}
	same := func() *rowDiff {
		var c rowDiff
		if err := c.add(0, 0, row, row); err != nil {
			t.Fatal(err)
		}
		return &c
	}
	for _, c := range []struct {
		name            string
		masked, written float64
		rows            int
		want            string
	}{
		{"same", 7, 7, 1, ""},
		{"rounding", 7, 7.001, 1, ""},
		{"worse", 7, 7.1, 1, "perplexity is 7.1000"},
		{"better is wrong too", 7, 6.9, 1, "perplexity is 6.9000"},
		{"rows missing", 7, 7, 2, "1 of 2 positions"},
	} {
		k := Check{Masked: perplexity.Estimate{PPL: c.masked}, Written: perplexity.Estimate{PPL: c.written}}
		if got := k.verdict(same(), c.rows); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: verdict %q, want %q", c.name, got, c.want)
		}
	}
}

// What held-out text said is of a plan's last step.
func TestHeldOutIsOfAllSteps(t *testing.T) {
	plan := &search.Plan{Steps: make([]search.Step, 2), HeldOut: &search.HeldOut{}}
	for steps, want := range map[int]*search.HeldOut{1: nil, 2: plan.HeldOut} {
		if got := (&Outcome{Plan: plan, Steps: plan.Steps[:steps]}).HeldOut(); got != want {
			t.Errorf("%d of 2 steps: %v", steps, got)
		}
	}
	if (&Outcome{}).HeldOut() != nil {
		t.Error("a mask without a plan was looked at")
	}
}
