// Package outfiletest has a file system whose calls fail.
package outfiletest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// Faults is the real file system, except that one of its calls fails, or that it is full after some bytes.
type Faults struct {
	outfile.System
	FailAt int // the number of the call that fails, from 1; 0 for none
	Err    error
	Room   int64 // bytes until the disk is full, where Full is set
	Full   bool
	Stuck  bool     // nothing can be removed
	Log    []string // the calls so far
}

// call notes a call and says whether it fails.
func (s *Faults) call(name string) error {
	s.Log = append(s.Log, name)
	if len(s.Log) == s.FailAt {
		return &os.PathError{Op: name, Path: "injected", Err: s.Err}
	}
	return nil
}

// Create is "create" in the log.
func (s *Faults) Create(path string, perm fs.FileMode) (outfile.File, error) {
	if err := s.call("create"); err != nil {
		return nil, err
	}
	f, err := s.System.Create(path, perm)
	return &faultFile{f, s}, err
}

// Open is "open" in the log.
func (s *Faults) Open(path string) (io.ReadCloser, error) {
	if err := s.call("open"); err != nil {
		return nil, err
	}
	return s.System.Open(path)
}

// Free is "free" in the log.
func (s *Faults) Free(dir string) (int64, error) {
	if err := s.call("free"); err != nil {
		return 0, err
	}
	return s.System.Free(dir)
}

// Rename is "rename" in the log.
func (s *Faults) Rename(from, to string, replace bool) error {
	if err := s.call("rename"); err != nil {
		return err
	}
	return s.System.Rename(from, to, replace)
}

// Remove is not in the log, for it comes after a failure. It fails where the file system is stuck.
func (s *Faults) Remove(path string) error {
	if s.Stuck {
		return &os.PathError{Op: "remove", Path: path, Err: syscall.EPERM}
	}
	return s.System.Remove(path)
}

// SyncDir is "syncDir" in the log.
func (s *Faults) SyncDir(dir string) error {
	if err := s.call("syncDir"); err != nil {
		return err
	}
	return s.System.SyncDir(dir)
}

// faultFile is a file of Faults.
type faultFile struct {
	outfile.File
	fs *Faults
}

// take takes n bytes of the room that is left.
func (f *faultFile) take(n int64) error {
	if !f.fs.Full {
		return nil
	}
	if f.fs.Room -= n; f.fs.Room < 0 {
		return syscall.ENOSPC
	}
	return nil
}

// Write is "write" in the log.
func (f *faultFile) Write(b []byte) (int, error) {
	if err := errors.Join(f.fs.call("write"), f.take(int64(len(b)))); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// Preallocate is "preallocate" in the log.
func (f *faultFile) Preallocate(n int64) error {
	if err := f.fs.call("preallocate"); err != nil {
		return err
	}
	return f.File.Preallocate(n)
}

// Sync is "sync" in the log.
func (f *faultFile) Sync() error {
	if err := f.fs.call("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// Close is "close" in the log. The file is closed even where close fails.
func (f *faultFile) Close() error {
	err := f.File.Close()
	return errors.Join(f.fs.call("close"), err)
}
