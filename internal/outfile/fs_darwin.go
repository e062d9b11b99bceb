package outfile

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func (f osFile) Preallocate(n int64) error {
	store := unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: n}
	if err := unix.FcntlFstore(f.Fd(), unix.F_PREALLOCATE, &store); errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// Writeback has no counterpart; macOS writes back on its own.
func (f osFile) Writeback(_, _, _ int64) {}

func renameNoReplace(from, to string) error {
	err := unix.RenamexNp(from, to, unix.RENAME_EXCL)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return linkNoReplace(from, to)
	}
	return err
}
