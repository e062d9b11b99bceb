package outfile_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// What a killed program left goes when the same output is written again; what somebody is still writing, and what only looks alike, stays.
func TestStaleFilesGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.gguf")
	options := outfile.Options{Ext: ".gguf"}
	other, err := outfile.Create(path, options)
	if err != nil {
		t.Fatal(err)
	}
	stay := []string{
		filepath.Base(other.Path()), ".other.gguf.01234567.tmp.gguf", ".out.gguf.01234567.part", ".out.gguf.0123.tmp.gguf", "out.gguf.01234567.tmp.gguf",
	}
	for _, name := range append([]string{".out.gguf.89abcdef.tmp.gguf"}, stay[1:]...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options.Size = 1 // stale files go before the room is looked at
	p, err := outfile.Create(path, options)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(stay), filepath.Base(p.Path()))
	slices.Sort(want)
	if got := outfile.Names(t, dir); !slices.Equal(got, want) {
		t.Errorf("folder has %v, want %v", got, want)
	}
	if err := other.Discard(); err != nil {
		t.Error(err)
	}
	if err := p.Commit(); err != nil {
		t.Error(err)
	}
}
