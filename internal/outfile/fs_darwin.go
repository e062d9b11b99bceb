package outfile

import (
	"errors"
	"os"
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

// locksHarm reports whether a lock on f might keep other descriptors from reading and writing it, as on SMB shares.
func locksHarm(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) != nil || st.Flags&unix.MNT_LOCAL == 0
}
