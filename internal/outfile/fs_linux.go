package outfile

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func (f osFile) Preallocate(n int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return err
	}
	return nil
}

func (f osFile) Writeback(off, n, lag int64) {
	// Only a hint: what fails here fails again, and is reported, in Sync.
	fd := int(f.Fd())
	_ = unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	if old := off - lag; old >= 0 {
		_ = unix.SyncFileRange(fd, old, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE)
	}
}

func renameNoReplace(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP) {
		return linkNoReplace(from, to)
	}
	return err
}

// locksHarm reports whether a lock on f would keep other descriptors from reading and writing it, as on SMB shares (flock(2)).
func locksHarm(f *os.File) bool {
	const smb, cifs, smb2 = 0x517b, 0xff534d42, 0xfe534d42
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil {
		return true
	}
	switch uint32(st.Type) {
	case smb, cifs, smb2:
		return true
	}
	return false
}
