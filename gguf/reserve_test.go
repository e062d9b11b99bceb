package gguf

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ggufprune/ggufprune/internal/outfile/outfiletest"
)

// A reserved file is written by name, finished and committed; or it goes without a trace.
func TestReserve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.gguf")
	r, err := Reserve(t.Context(), path, 10, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.Path, []byte("by another writer"), 0o600); err != nil { // truncates, as std::ofstream does
		t.Fatal(err)
	}
	p, err := r.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if w, err := p.Commit(); err != nil || w.Path != path || w.Bytes != 17 || len(w.SHA256) != 64 {
		t.Fatalf("%+v, %v", w, err)
	}
	if err := r.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := Reserve(t.Context(), path, 10, false); !errors.Is(err, ErrExists) {
		t.Errorf("an existing file: %v", err)
	}
	if _, err := Reserve(t.Context(), path, 1<<62, true); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a full disk: %v", err)
	}
	again, err := Reserve(t.Context(), path, 10, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Finish(); err == nil {
		t.Error("a discarded file was finished")
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left, want the output", len(files))
	}
}

// Whatever call of the file system fails, nothing is left.
func TestReserveFaults(t *testing.T) {
	t.Parallel()
	for fail := 1; ; fail++ {
		dir := t.TempDir()
		fsys := &outfiletest.Faults{FailAt: fail, Err: syscall.EIO}
		err := func() error {
			r, err := reserve(t.Context(), fsys, filepath.Join(dir, "out.gguf"), 1, false)
			if err != nil {
				return err
			}
			p, err := r.Finish()
			if err != nil {
				return err
			}
			defer p.Discard() //nolint:errcheck // after the failure
			_, err = p.Commit()
			return err
		}()
		if len(fsys.Log) < fail {
			if err != nil {
				t.Errorf("no call failed: %v", err)
			}
			return
		}
		left, _ := os.ReadDir(dir)
		if name := fsys.Log[fail-1]; name != "free" && (err == nil || len(left) > 0) && name != "remove" {
			t.Errorf("%s failed: %v, %d files left", name, err, len(left))
		}
	}
}
