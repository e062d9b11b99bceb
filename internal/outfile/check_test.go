package outfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
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
	dangling := filepath.Join(dir, "dangling.gguf")
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
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
		{"existing", old, false, ErrExists},
		{"existing with force", old, true, nil},
		{"input", in, false, ErrIsInput},
		{"input with force", in, true, ErrIsInput},
		{"link to the input with force", link, true, ErrIsInput},
		{"link to nothing", dangling, false, ErrExists},
		{"link to nothing with force", dangling, true, nil},
		{"input by another path", filepath.Join(dir, ".", "..", filepath.Base(dir), "in.gguf"), true, ErrIsInput},
		{"folder", dir, true, anyError},
		{"no such folder", filepath.Join(dir, "none", "new.gguf"), false, ErrReadOnly},
		{"file as folder", filepath.Join(old, "new.gguf"), false, anyError},
		{"shard's name", filepath.Join(dir, "new-00001-of-00002.gguf"), true, anyError},
		{"device", os.DevNull, true, anyError},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(c.path, c.force, in)
			if (err == nil) != (c.want == nil) || (c.want != anyError && !errors.Is(err, c.want)) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("%d files in the folder (%v), want the 4 that were there before", len(left), err)
	}
}
