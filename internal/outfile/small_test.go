package outfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// A small file replaces another only by force, and then keeps its permissions.
func TestWriteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.json")
	check := func(want string, perm os.FileMode) {
		t.Helper()
		got, err := os.ReadFile(path)
		st, err2 := os.Stat(path)
		if err := errors.Join(err, err2); err != nil || string(got) != want || st.Mode().Perm() != perm {
			t.Fatalf("%q, %v, %v; want %q", got, st, err, want)
		}
	}
	if err := outfile.WriteFile(path, []byte("first"), false); err != nil {
		t.Fatal(err)
	}
	if err := outfile.WriteFile(path, []byte("second"), false); !errors.Is(err, outfile.ErrExists) {
		t.Errorf("over a file: %v", err)
	}
	for _, perm := range []os.FileMode{0o600, 0o666, 0o400} {
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
		if err := outfile.WriteFile(path, []byte(perm.String()), true); err != nil {
			t.Fatal(err)
		}
		check(perm.String(), perm)
	}
	if err := outfile.WriteFile(filepath.Join(path, "in a file"), nil, true); err == nil {
		t.Error("a file in a file was written")
	}
	if err := outfile.WriteFile(filepath.Dir(path), nil, true); err == nil {
		t.Error("a folder was replaced")
	}
	if got := outfile.Names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("folder has %v", got)
	}
}

// An unnamed file can be written and read, and no folder shows it.
func TestUnnamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := outfile.Unnamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 4)
	if _, err := f.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "text" || len(outfile.Names(t, dir)) != 0 {
		t.Errorf("%q, %v, folder has %v", got, err, outfile.Names(t, dir))
	}
	if _, err := outfile.Unnamed(filepath.Join(dir, "none")); err == nil {
		t.Error("a file in no folder")
	}
}

// Two names of one file are the same path, and so are two that would be one.
func TestSamePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, a, "")
	put(t, b, "")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		x, y string
		want bool
	}{
		{a, a, true},
		{a, link, true},
		{a, b, false},
		{a, filepath.Join(dir, "new"), false},
		{filepath.Join(dir, "new"), dir + "/./new", true},
		{filepath.Join(dir, "new"), filepath.Join(dir, "newer"), false},
		{"", "", false},
		{a, "", false},
	} {
		if got := outfile.SamePath(c.x, c.y); got != c.want {
			t.Errorf("%q and %q: %v", c.x, c.y, got)
		}
	}
}
