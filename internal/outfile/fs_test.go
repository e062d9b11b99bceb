package outfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The ways of renaming that file systems without renameat2 need.
func TestRenameNoReplace(t *testing.T) {
	t.Parallel()
	for name, rename := range map[string]func(from, to string) error{
		"system": renameNoReplace, "link": linkNoReplace, "claim": claimNoReplace,
	} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		put := func(path string) {
			if err := os.WriteFile(path, []byte(filepath.Base(path)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		put(from)
		if err := rename(from, to); err != nil || !slices.Equal(names(t, dir), []string{"to"}) {
			t.Errorf("%s: %v, %v", name, err, names(t, dir))
		}
		put(from)
		put(to)
		if err := rename(from, to); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s over a file: %v", name, err)
		}
		if b, _ := os.ReadFile(to); string(b) != "to" {
			t.Errorf("%s replaced a file", name)
		}
		if err := rename(filepath.Join(dir, "none"), filepath.Join(dir, "new")); err == nil || len(names(t, dir)) != 2 {
			t.Errorf("%s of nothing: %v, %v", name, err, names(t, dir))
		}
	}
}

// names lists a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
