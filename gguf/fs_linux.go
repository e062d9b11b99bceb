package gguf

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// kernelCopy copies up to n bytes of src at soff to dst at doff without passing them through the program, sharing the
// blocks where the file system can. It returns 0 where the kernel cannot.
func kernelCopy(dst *os.File, doff int64, src *os.File, soff, n int64) (int64, error) {
	for {
		done, err := unix.CopyFileRange(int(src.Fd()), &soff, int(dst.Fd()), &doff, int(n), 0)
		switch {
		case err == nil:
			return int64(done), nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
			return 0, err
		default: // EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM in sandboxes, EIO: an ordinary copy shows what is wrong, if anything
			return 0, nil
		}
	}
}

func (f *osFile) preallocate(n int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return err
	}
	return nil
}

func (f *osFile) writeback(off, n, lag int64) {
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
