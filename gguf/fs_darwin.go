package gguf

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// kernelCopy is not available: macOS clones whole files only.
func kernelCopy(*os.File, int64, *os.File, int64, int64) (int64, error) { return 0, nil }

func (f *osFile) preallocate(n int64) error {
	store := unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: n}
	if err := unix.FcntlFstore(f.Fd(), unix.F_PREALLOCATE, &store); errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// writeback has no counterpart; macOS writes back on its own.
func (f *osFile) writeback(_, _, _ int64) {}

func renameNoReplace(from, to string) error {
	err := unix.RenamexNp(from, to, unix.RENAME_EXCL)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return linkNoReplace(from, to)
	}
	return err
}
