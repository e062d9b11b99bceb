package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.gguf")
	old := filepath.Join(dir, "old.gguf")
	link := filepath.Join(dir, "link.gguf")
	for _, f := range []string{in, old} {
		if err := os.WriteFile(f, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(in, link); err != nil {
		t.Fatal(err)
	}
	anyError := errors.New("any")
	for _, c := range []struct {
		name, path string
		force      bool
		want       error
	}{
		{"new", filepath.Join(dir, "new.gguf"), false, nil},
		{"new with force", filepath.Join(dir, "new.gguf"), true, nil},
		{"existing", old, false, gguf.ErrExists},
		{"existing with force", old, true, nil},
		{"input", in, false, gguf.ErrIsInput},
		{"input with force", in, true, gguf.ErrIsInput},
		{"link to the input with force", link, true, gguf.ErrIsInput},
		{"input by another path", filepath.Join(dir, ".", "..", filepath.Base(dir), "in.gguf"), true, gguf.ErrIsInput},
		{"folder", dir, true, anyError},
		{"no such folder", filepath.Join(dir, "none", "new.gguf"), false, gguf.ErrReadOnly},
		{"file as folder", filepath.Join(old, "new.gguf"), false, anyError},
		{"shard's name", filepath.Join(dir, "new-00001-of-00002.gguf"), true, anyError},
		{"device", os.DevNull, true, anyError},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckOutput(c.path, c.force, in)
			if (err == nil) != (c.want == nil) || (c.want != anyError && !errors.Is(err, c.want)) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%d files in the folder (%v), want the 3 that were there before", len(left), err)
	}
}

// What held-out text said is of a plan's last step.
func TestHeldOutIsOfAllSteps(t *testing.T) {
	p := &plan.Plan{Steps: make([]search.Step, 2), HeldOut: &plan.HeldOut{}}
	for steps, want := range map[int]*plan.HeldOut{1: nil, 2: p.HeldOut} {
		if got := (&Outcome{Plan: p, Steps: p.Steps[:steps]}).HeldOut(); got != want {
			t.Errorf("%d of 2 steps: %v", steps, got)
		}
	}
	if (&Outcome{}).HeldOut() != nil {
		t.Error("a mask without a plan was looked at")
	}
}
