//go:build cgo

package llamatest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

const (
	tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"
	tinyText  = "../../testdata/simple.jsonl"
)

// applyJob leaves one attention out of the small model. harm is called with each other file before it is loaded.
func applyJob(t *testing.T, harm func(path string) error) prune.ApplyJob {
	t.Helper()
	mask, err := blockmask.Parse("attn:5")
	if err != nil {
		t.Fatal(err)
	}
	loads := onLoad(func(path string, _ engine.ModelParams) error {
		if path == tinyModel {
			return nil
		}
		return harm(path)
	})
	return prune.ApplyJob{
		Common: prune.Common{
			Spec:   source.Spec{Engine: loads, Path: tinyModel, Threads: 2, FlashAttn: "auto"},
			Text:   corpus.Text{File: tinyText, Convention: perplexity.Windows, Context: 64, Batch: 128, Max: 2},
			Layout: layout.Auto, Tool: "test",
		},
		Writing: prune.Writing{Output: filepath.Join(t.TempDir(), "out.gguf")},
		Mask:    mask,
	}
}

// watched is llama.cpp, with a call before each model is loaded and after each is closed.
type watched struct {
	llamabind.Runtime
	load   func(path string, p engine.ModelParams) error
	loaded func()
	closed func()
}

// onLoad is llama.cpp, but that load is called before each model is loaded and may refuse it.
func onLoad(load func(path string, p engine.ModelParams) error) watched {
	return watched{load: load, loaded: func() {}, closed: func() {}}
}

func (w watched) Load(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error) {
	if err := w.load(path, p); err != nil {
		return nil, err
	}
	m, err := w.Runtime.Load(ctx, path, p)
	if err != nil {
		return nil, err
	}
	w.loaded()
	return closing{m, w.closed}, nil
}

// closing is a model that says when it is closed.
type closing struct {
	engine.Model
	closed func()
}

func (m closing) Close() {
	m.Model.Close()
	m.closed()
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
			_, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
			var check *write.CheckError
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
	out, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
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
