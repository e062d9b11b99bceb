package outfile_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/outfile/outfiletest"
)

const content = "what is to be written"

// write makes an output as a careful caller does.
func write(fsys outfile.FS, path string, force bool) error {
	p, err := outfile.Create(path, outfile.Options{Force: force, Size: int64(len(content)), FS: fsys})
	if err != nil {
		return err
	}
	defer p.Discard() //nolint:errcheck // the first error counts
	err = p.Preallocate()
	if err == nil {
		_, err = io.WriteString(p, content)
	}
	if err != nil {
		return p.Fail(p.Explain(err))
	}
	if err := p.Finish(); err != nil {
		return err
	}
	r, err := p.Open()
	if err != nil {
		return err
	}
	r.Close()
	return p.Commit()
}

// Each call fails once. Then there is the complete file, or an error of one line, and what was there before or nothing.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	writers := map[string]func(fsys outfile.FS, path string, force bool) error{
		"pending": write,
		"small": func(fsys outfile.FS, path string, force bool) error {
			return outfile.WriteFileOn(fsys, path, []byte(content), force)
		},
	}
	calls := map[string][]string{
		"pending": {"free", "create", "preallocate", "write", "sync", "close", "open", "rename", "syncDir"},
		"small":   {"create", "write", "sync", "close", "rename", "syncDir"},
	}
	for name, write := range writers {
		for _, errno := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
			for _, old := range []string{"", "the old file"} {
				for n := 1; ; n++ {
					dir := t.TempDir()
					path := filepath.Join(dir, "out.json")
					if old != "" {
						put(t, path, old)
					}
					fsys := &outfiletest.Faults{FailAt: n, Err: errno}
					err := write(fsys, path, old != "")
					got, _ := os.ReadFile(path)
					if len(fsys.Log) < n { // nothing failed
						if err != nil || string(got) != content || !slices.Equal(fsys.Log, calls[name]) {
							t.Errorf("%s without a fault: %v, calls %v, want %v", name, err, fsys.Log, calls[name])
						}
						break
					}
					call := fsys.Log[n-1]
					switch {
					case call == "free": // not to know the free space is no reason to stop
						if err != nil || string(got) != content {
							t.Errorf("%s, %s: %v", name, call, err)
						}
					case err == nil || strings.Contains(err.Error(), "\n"):
						t.Errorf("%s, %s: error %q", name, call, err)
					case len(got) > 0 && string(got) != old:
						t.Errorf("%s, %s: a file of %d bytes is there", name, call, len(got))
					}
					for _, file := range outfile.Names(t, dir) {
						if file != "out.json" {
							t.Errorf("%s, %s: %s was left behind", name, call, file)
						}
					}
				}
			}
		}
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The disk fills up, or was too small from the start.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	err := write(&outfiletest.Faults{Full: true, Room: 3}, path, false)
	if !errors.Is(err, outfile.ErrNoSpace) || !strings.Contains(err.Error(), "out.json needs 21 bytes (21 B); free some") {
		t.Error(err)
	}
	_, err = outfile.Create(path, outfile.Options{Size: 1 << 60})
	if !errors.Is(err, outfile.ErrNoSpace) || !strings.Contains(err.Error(), "1152921504606846976 bytes") {
		t.Error(err)
	}
	if err := outfile.WriteFileOn(&outfiletest.Faults{Full: true, Room: 3}, path, []byte(content), false); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := outfile.CheckRoom(path, 1<<60); !errors.Is(err, outfile.ErrNoSpace) || !strings.Contains(err.Error(), "out.json needs") {
		t.Error(err)
	}
	if err := outfile.CheckRoom(path, 1); err != nil {
		t.Error(err)
	}
	if got := outfile.Names(t, dir); len(got) != 0 {
		t.Errorf("folder has %v", got)
	}
}

// The temporary file lies beside the output and ends as it was asked to; a cancelled run's error stays what it is, and the file goes.
func TestCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("long", 62)+".gguf") // 253 bytes
	p, err := outfile.Create(path, outfile.Options{Ext: ".gguf"})
	if err != nil {
		t.Fatal(err)
	}
	if got := outfile.Names(t, dir); len(got) != 1 || filepath.Join(dir, got[0]) != p.Path() || !strings.HasSuffix(p.Path(), ".tmp.gguf") {
		t.Errorf("folder has %v, the file is %s", got, p.Path())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Fail(p.Explain(ctx.Err())); !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
		t.Error(err)
	}
	if got := outfile.Names(t, dir); len(got) != 0 {
		t.Errorf("folder has %v", got)
	}
}

// After the end, whichever it was, a file takes nothing more; only Discard may come again.
func TestEnded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *outfile.Pending) error{
		"commit": (*outfile.Pending).Commit, "discard": (*outfile.Pending).Discard,
		"fail": func(p *outfile.Pending) error { _ = p.Fail(io.ErrUnexpectedEOF); return nil },
	} {
		dir := t.TempDir()
		p, err := outfile.Create(filepath.Join(dir, "out"), outfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		left := outfile.Names(t, dir)
		_, werr := p.Write([]byte("more"))
		_, oerr := p.Open()
		for what, err := range map[string]error{"Write": werr, "Open": oerr, "Preallocate": p.Preallocate(), "Finish": p.Finish(), "Commit": p.Commit()} {
			if err == nil || !strings.HasSuffix(err.Error(), "out: it was written or discarded already") {
				t.Errorf("%s, then %s: %v", name, what, err)
			}
		}
		if err := p.Discard(); err != nil || !slices.Equal(left, outfile.Names(t, dir)) || (len(left) == 1) != (name == "commit") {
			t.Errorf("%s: %v, folder has %v", name, err, outfile.Names(t, dir))
		}
	}
	var none *outfile.Pending
	if err := errors.Join(none.Commit(), none.Discard()); err != nil {
		t.Errorf("a nil file: %v", err)
	}
}

// Two runs with the same output: the second to finish replaces nothing, unless it was to.
func TestCommitReplacesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out")
	create := func(force bool) *outfile.Pending {
		p, err := outfile.Create(path, outfile.Options{Force: force})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	second, forced := create(false), create(true)
	put(t, path, "first")
	if err := second.Commit(); !errors.Is(err, outfile.ErrExists) {
		t.Errorf("second: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "first" {
		t.Errorf("the first file became %q", b)
	}
	if err := errors.Join(second.Discard(), forced.Commit()); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "" {
		t.Errorf("the file was not replaced: %q", b)
	}
}

// What Create refuses, it refuses without a trace.
func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken, dangling := filepath.Join(dir, "taken"), filepath.Join(dir, "dangling")
	put(t, taken, "")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		force bool
		is    error
		want  string
	}{
		{taken, false, outfile.ErrExists, "force it"},
		{dangling, false, outfile.ErrExists, "force it"},
		{dir, true, outfile.ErrReadOnly, "add a file name"},
		{os.DevNull, true, outfile.ErrReadOnly, "not a regular file"},
		{filepath.Join(dir, "none", "out"), false, outfile.ErrReadOnly, "create it first"},
		{filepath.Join(taken, "out"), false, outfile.ErrReadOnly, "not a directory"},
		{filepath.Join(dir, "out-00001-of-00002.gguf"), true, outfile.ErrReadOnly, "named like a shard"},
	} {
		_, err := outfile.Create(c.path, outfile.Options{Force: c.force})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v with %q", c.path, err, c.is, c.want)
		}
	}
	if got := outfile.Names(t, dir); len(got) != 2 {
		t.Errorf("folder has %v", got)
	}
}
