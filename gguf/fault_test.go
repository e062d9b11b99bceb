package gguf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// faultFS is the real file system, except that one of its calls fails, or that it is full after some bytes.
type faultFS struct {
	osFS
	failAt int // the number of the call that fails, from 1; 0 for none
	err    error
	room   int64 // bytes until the disk is full, where full is set
	full   bool
	stuck  bool // nothing can be removed
	log    []string
}

// call notes a call and says whether it fails.
func (s *faultFS) call(name string) error {
	s.log = append(s.log, name)
	if len(s.log) == s.failAt {
		return &os.PathError{Op: name, Path: "injected", Err: s.err}
	}
	return nil
}

func (s *faultFS) create(path string) (outFile, error) {
	if err := s.call("create"); err != nil {
		return nil, err
	}
	f, err := s.osFS.create(path)
	return &faultFile{f, s}, err
}

func (s *faultFS) open(path string) (io.ReadCloser, error) {
	if err := s.call("open"); err != nil {
		return nil, err
	}
	return s.osFS.open(path)
}

func (s *faultFS) free(dir string) (int64, error) {
	if err := s.call("free"); err != nil {
		return 0, err
	}
	return s.osFS.free(dir)
}

func (s *faultFS) rename(from, to string, replace bool) error {
	if err := s.call("rename"); err != nil {
		return err
	}
	return s.osFS.rename(from, to, replace)
}

func (s *faultFS) remove(path string) error {
	if s.stuck {
		return &os.PathError{Op: "remove", Path: path, Err: syscall.EPERM}
	}
	return s.osFS.remove(path)
}

func (s *faultFS) syncDir(dir string) error {
	if err := s.call("syncDir"); err != nil {
		return err
	}
	return s.osFS.syncDir(dir)
}

type faultFile struct {
	outFile
	fs *faultFS
}

// take takes n bytes of the room that is left.
func (f *faultFile) take(n int64) error {
	if !f.fs.full {
		return nil
	}
	if f.fs.room -= n; f.fs.room < 0 {
		return syscall.ENOSPC
	}
	return nil
}

func (f *faultFile) Write(b []byte) (int, error) {
	if err := errors.Join(f.fs.call("write"), f.take(int64(len(b)))); err != nil {
		return 0, err
	}
	return f.outFile.Write(b)
}

func (f *faultFile) preallocate(n int64) error {
	if err := f.fs.call("preallocate"); err != nil {
		return err
	}
	return f.outFile.preallocate(n)
}

func (f *faultFile) Sync() error {
	if err := f.fs.call("sync"); err != nil {
		return err
	}
	return f.outFile.Sync()
}

func (f *faultFile) Close() error {
	err := f.outFile.Close() // it is closed even where close fails
	return errors.Join(f.fs.call("close"), err)
}

// writeAll writes and commits, as a caller does.
func writeAll(ctx context.Context, fsys fileSystem, path string, p *Plan, o WriteOptions) error {
	pending, err := writeTemp(ctx, fsys, path, p, o)
	if err != nil {
		return err
	}
	_, err = pending.Commit()
	return errors.Join(err, pending.Discard())
}

// Each call of a write fails once. Then there is the complete file, or an error of one line and no file at all.
func TestEachCallFails(t *testing.T) {
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
				fsys := &faultFS{failAt: n, err: errno}
				err := writeAll(t.Context(), fsys, path, planOf(f), WriteOptions{Force: old != ""})
				got, _ := os.ReadFile(path)
				if len(fsys.log) < n { // nothing failed
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("without a fault: %v", err)
					}
					break
				}
				call := fsys.log[n-1]
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
	for _, call := range []int{4, 9} { // write, syncDir
		dir := t.TempDir()
		fsys := &faultFS{failAt: call, err: syscall.EIO, stuck: true}
		err := writeAll(t.Context(), fsys, filepath.Join(dir, "out.gguf"), &Plan{}, WriteOptions{})
		left := names(t, dir)
		if err == nil || strings.Contains(err.Error(), "\n") || len(left) != 1 || !strings.Contains(err.Error(), left[0]+" could not be removed") {
			t.Errorf("%s: %v, folder has %v", fsys.log[call-1], err, left)
		}
	}
}

// The disk fills up at some byte, though it had room before.
func TestDiskFillsUp(t *testing.T) {
	m := gguftest.Llama(1, 2)
	f := openModel(t, m)
	p := planOf(f)
	for _, room := range []int64{0, 100, 5000, p.Size() / 2, p.Size() - 1} {
		dir := t.TempDir()
		err := writeAll(t.Context(), &faultFS{full: true, room: room}, filepath.Join(dir, "out.gguf"), p, WriteOptions{})
		if !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "\n") || len(names(t, dir)) != 0 {
			t.Errorf("room for %d bytes: %v, folder has %v", room, err, names(t, dir))
		}
	}
	if err := writeAll(t.Context(), &faultFS{full: true, room: p.Size()}, filepath.Join(t.TempDir(), "out.gguf"), p, WriteOptions{}); err != nil {
		t.Errorf("room for all: %v", err)
	}
}

// A plan larger than any disk is refused before anything is written.
func TestNoSpaceIsSeenBeforehand(t *testing.T) {
	dir := t.TempDir()
	fsys := &faultFS{}
	p := &Plan{Tensors: []PlanTensor{{"huge.weight", I8, []uint64{1 << 60}, Zeros(1 << 60)}}}
	_, err := writeTemp(t.Context(), fsys, filepath.Join(dir, "out.gguf"), p, WriteOptions{})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "needs 1152921504606847072 bytes") || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if !slices.Equal(fsys.log, []string{"free"}) || len(names(t, dir)) != 0 {
		t.Errorf("calls %v, folder has %v", fsys.log, names(t, dir))
	}
}

// A power failure at any moment leaves no incomplete file under the output's name only if the calls come in this order.
func TestOrderOfSyncs(t *testing.T) {
	fsys := &faultFS{}
	f := openModel(t, gguftest.Llama(1, 3))
	if err := writeAll(t.Context(), fsys, filepath.Join(t.TempDir(), "out.gguf"), planOf(f), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	rest := slices.DeleteFunc(fsys.log, func(c string) bool { return c == "write" })
	if want := strings.Fields("free create preallocate sync close open rename syncDir"); !slices.Equal(rest, want) {
		t.Errorf("calls %v, want %v", rest, want)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
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
