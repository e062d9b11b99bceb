package gguf

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// willRead does nothing: macOS reads ahead by itself.
func willRead(*os.File) {}

func (f osFile) preallocate(n int64) error {
	store := unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: n}
	if err := unix.FcntlFstore(f.Fd(), unix.F_PREALLOCATE, &store); errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// writeback has no counterpart; macOS writes back on its own.
func (f osFile) writeback(_, _, _ int64) {}

func renameNoReplace(from, to string) error {
	err := unix.RenamexNp(from, to, unix.RENAME_EXCL)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return linkNoReplace(from, to)
	}
	return err
}
