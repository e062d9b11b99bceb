//go:build cgo

package llamatest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
)

// What a repair is done with must have its place, also where nobody asked for one: it may be another repair's.
func TestRepairThatCannotBeKept(t *testing.T) {
	j := applyJob(t, func(string) error { return nil })
	weights := j.Output + ".repair.weights"
	if err := os.Mkdir(weights, 0o755); err != nil {
		t.Fatal(err)
	}
	j.Repair = repair.Options{Method: fit.Auto, Tokens: 1024, Usual: true}
	if out, err := prune.Apply(t.Context(), j, new(progresstest.Listener)); err == nil || !strings.Contains(err.Error(), "no regular file; move it away") {
		t.Errorf("%+v, %v", out, err)
	}
}

// A model that cannot be in memory without its file being mapped: who asked for a repair is told, anyone else gets the file without.
func TestRepairNeedsTheModelUnmapped(t *testing.T) {
	for _, usual := range []bool{true, false} {
		j := applyJob(t, func(string) error { return nil })
		j.Spec.Engine = onLoad(func(_ string, p engine.ModelParams) error {
			if p.NoMmap {
				return errors.New("no memory")
			}
			return nil
		})
		j.Repair = repair.Options{Method: fit.Auto, Tokens: 1024, Usual: usual}
		l := new(progresstest.Listener)
		out, err := prune.Apply(t.Context(), j, l)
		notes := strings.Join(l.Notes, "\n")
		switch {
		case usual && (err != nil || out.Repair != nil || out.Write.Check == nil || !strings.Contains(notes, "is not repaired, since it cannot be loaded without mapping")):
			t.Errorf("nobody asked: %+v, %v, notes %q", out, err, notes)
		case !usual && (err == nil || !strings.Contains(err.Error(), "no memory")):
			t.Errorf("asked for: %v", err)
		}
	}
}

// A size that is planned with a repair to come is not exceeded by what that says of itself.
func TestExpectedRepair(t *testing.T) {
	j := applyJob(t, func(string) error { return nil })
	src, err := source.Open(t.Context(), j.Spec)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	blocks, err := src.FindBlocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := repair.Options{Method: fit.Auto, Tokens: 1024, Usual: true}
	size, err := layout.Size(layout.Request{
		Source: src.File, Blocks: blocks, Removed: j.Mask, Kind: j.Layout,
		Provenance: layout.Provenance{
			SourceSHA256: strings.Repeat("0", 64), Tool: j.Tool, LlamaCpp: llamabind.LlamaTag, Removed: j.Mask.Blocks(),
			Repair: repair.Expected(src, r, j.Text, blocks, j.Mask),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Repair = r
	out, err := prune.Apply(t.Context(), j, new(progresstest.Listener))
	if err != nil {
		t.Fatal(err)
	}
	if out.Repair == nil || out.Write.Bytes > size {
		t.Errorf("repair %+v: %d bytes, planned %d", out.Repair, out.Write.Bytes, size)
	}
}

// Where nobody asked for a repair, one that cannot be done costs a warning, else the run; no temporary file is left in either case.
func TestRepairThatCannotBeDone(t *testing.T) {
	for _, usual := range []bool{true, false} {
		j := applyJob(t, func(string) error { return nil })
		short := filepath.Join(t.TempDir(), "short.txt")
		if err := os.WriteFile(short, []byte("A few words."), 0o600); err != nil {
			t.Fatal(err)
		}
		typ := gguf.F16
		j.Repair = repair.Options{Method: fit.Auto, Files: []string{short}, Tokens: 1024, Usual: usual, Type: &typ}
		l := new(progresstest.Listener)
		out, err := prune.Apply(t.Context(), j, l)
		files, _ := os.ReadDir(filepath.Dir(j.Output))
		notes := strings.Join(l.Notes, "\n")
		switch {
		case usual && (err != nil || out.Repair != nil || out.Write.Check == nil || len(files) != 1 || !strings.Contains(notes, "is not repaired: ")):
			t.Errorf("nobody asked: %+v, %v, files %v, notes %q", out, err, files, notes)
		case usual && (out.Write.Check.MaxAbsDiff != 0 || len(out.Raised) != 0):
			t.Errorf("nobody asked: check %+v, raised %v", out.Write.Check, out.Raised)
		case !usual && (err == nil || !strings.Contains(err.Error(), "too short for a repair") || len(files) != 0):
			t.Errorf("asked for: %v, files %v", err, files)
		}
	}
}
