package gguf

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/outfile/outfiletest"
)

// writeAll writes and commits, as a caller does.
func writeAll(ctx context.Context, fsys outfile.FS, path string, p *Plan, o WriteOptions) error {
	pending, err := writeTemp(ctx, fsys, path, p, o)
	if err != nil {
		return err
	}
	_, err = pending.Commit()
	return errors.Join(err, pending.Discard())
}

// Each call of a write fails once. Then there is the complete file, or an error of one line and no file at all.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	f, want := openModel(t, small()), gguftest.Build(small())
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EACCES} {
		for _, old := range []string{"", "the old file"} {
			dir := t.TempDir()
			path := filepath.Join(dir, "out.gguf")
			failed := map[string]bool{}
			for n := 1; ; n++ {
				if old != "" {
					if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				fsys := &outfiletest.Faults{FailAt: n, Err: errno}
				err := writeAll(t.Context(), fsys, path, planOf(f), WriteOptions{Force: old != ""})
				got, _ := os.ReadFile(path)
				if len(fsys.Log) < n { // nothing failed
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("without a fault: %v", err)
					}
					break
				}
				call := fsys.Log[n-1]
				failed[call] = true
				checkAfterFault(t, call, dir, old, got, want, err, errno)
				os.Remove(path)
			}
			for _, call := range []string{"create", "free", "preallocate", "write", "sync", "close", "open", "rename", "syncDir"} {
				if !failed[call] {
					t.Errorf("%s never failed", call)
				}
			}
		}
	}
}

func checkAfterFault(t *testing.T, call, dir, old string, got, want []byte, err, errno error) {
	t.Helper()
	switch {
	case call == "free": // not to know the free space is no reason to stop
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", call, err)
		}
	case err == nil:
		t.Errorf("%s: the fault was lost", call)
	case strings.Contains(err.Error(), "\n"):
		t.Errorf("%s: more than a line: %q", call, err)
	case errors.Is(errno, syscall.ENOSPC) != errors.Is(err, ErrNoSpace):
		t.Errorf("%s: %v becomes %v", call, errno, err)
	case len(got) > 0 && string(got) != old:
		t.Errorf("%s: a file of %d bytes is there", call, len(got))
	}
	for _, name := range names(t, dir) {
		if name != "out.gguf" {
			t.Errorf("%s: %s was left behind", call, name)
		}
	}
}

// Where even removing fails, the error names the file that is left, on the same line.
func TestWhatCannotBeRemovedIsNamed(t *testing.T) {
	t.Parallel()
	for _, call := range []int{4, 9} { // write, syncDir
		dir := t.TempDir()
		fsys := &outfiletest.Faults{FailAt: call, Err: syscall.EIO, Stuck: true}
		err := writeAll(t.Context(), fsys, filepath.Join(dir, "out.gguf"), &Plan{}, WriteOptions{})
		left := names(t, dir)
		if err == nil || strings.Contains(err.Error(), "\n") || len(left) != 1 || !strings.Contains(err.Error(), left[0]+" could not be removed") {
			t.Errorf("%s: %v, folder has %v", fsys.Log[call-1], err, left)
		}
	}
}

// The disk fills up at some byte, though it had room before.
func TestDiskFillsUp(t *testing.T) {
	t.Parallel()
	m := gguftest.Llama(1, 2)
	f := openModel(t, m)
	p := planOf(f)
	for _, room := range []int64{0, 100, 5000, p.Size() / 2, p.Size() - 1} {
		dir := t.TempDir()
		err := writeAll(t.Context(), &outfiletest.Faults{Full: true, Room: room}, filepath.Join(dir, "out.gguf"), p, WriteOptions{})
		if !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "\n") || len(names(t, dir)) != 0 {
			t.Errorf("room for %d bytes: %v, folder has %v", room, err, names(t, dir))
		}
	}
	if err := writeAll(t.Context(), &outfiletest.Faults{Full: true, Room: p.Size()}, filepath.Join(t.TempDir(), "out.gguf"), p, WriteOptions{}); err != nil {
		t.Errorf("room for all: %v", err)
	}
}

// A plan larger than any disk is refused before anything is written.
func TestNoSpaceIsSeenBeforehand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fsys := &outfiletest.Faults{}
	p := &Plan{Tensors: []PlanTensor{{"huge.weight", I8, []uint64{1 << 60}, Zeros(1 << 60)}}}
	_, err := writeTemp(t.Context(), fsys, filepath.Join(dir, "out.gguf"), p, WriteOptions{})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "needs 1152921504606847072 bytes") || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if !slices.Equal(fsys.Log, []string{"free"}) || len(names(t, dir)) != 0 {
		t.Errorf("calls %v, folder has %v", fsys.Log, names(t, dir))
	}
}

// A power failure at any moment leaves no incomplete file under the output's name only if the calls come in this order.
func TestOrderOfSyncs(t *testing.T) {
	t.Parallel()
	fsys := &outfiletest.Faults{}
	f := openModel(t, gguftest.Llama(1, 3))
	if err := writeAll(t.Context(), fsys, filepath.Join(t.TempDir(), "out.gguf"), planOf(f), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	rest := slices.DeleteFunc(fsys.Log, func(c string) bool { return c == "write" })
	if want := strings.Fields("free create preallocate sync close open rename syncDir"); !slices.Equal(rest, want) {
		t.Errorf("calls %v, want %v", rest, want)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.gguf")
	const n = 64 << 20
	p := &Plan{Tensors: []PlanTensor{{"zero.weight", I8, []uint64{n}, Zeros(n)}}}
	var at time.Time
	ctx, cancel := context.WithCancel(t.Context())
	_, err := WriteTemp(ctx, path, p, WriteOptions{Progress: func(done, total int64) {
		if done > n/4 && at.IsZero() {
			at = time.Now()
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(names(t, dir)) != 0 {
		t.Errorf("%v, folder has %v", err, names(t, dir))
	}
	if d := time.Since(at); at.IsZero() || d > 2*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	if _, err := WriteTemp(ctx, path, p, WriteOptions{}); !errors.Is(err, context.Canceled) || len(names(t, dir)) != 0 {
		t.Errorf("cancelled before: %v, folder has %v", err, names(t, dir))
	}
}

// Cancelled between the two steps, Commit does not start hashing a large file, and the output stays without its name.
func TestCancelBeforeCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := WriteTemp(ctx, filepath.Join(dir, "out.gguf"), &Plan{}, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := p.Discard(); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v, folder has %v", err, names(t, dir))
	}
}

// The source shrinks while it is copied: that is said of the source, not of the output.
func TestSourceShrinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := gguftest.Write(t, dir, "in.gguf", gguftest.Llama(1, 4))
	f, err := Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(source, f.Bytes()/2); err != nil {
		t.Fatal(err)
	}
	_, err = WriteTemp(t.Context(), filepath.Join(dir, "out.gguf"), planOf(f), WriteOptions{})
	if !errors.Is(err, ErrTruncated) || !strings.HasPrefix(err.Error(), source) || len(names(t, dir)) != 1 {
		t.Errorf("%v, folder has %v", err, names(t, dir))
	}
}
