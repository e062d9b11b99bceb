package gguf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSystem is what writing needs of the system. Tests put one in its place whose disk is full or whose calls fail.
type fileSystem interface {
	create(path string) (outFile, error) // fs.ErrExist where path exists
	open(path string) (io.ReadCloser, error)
	free(dir string) (int64, error)             // bytes that may still be written there
	rename(from, to string, replace bool) error // fs.ErrExist where to exists and may not be replaced; without a race
	remove(path string) error
	syncDir(dir string) error
}

// outFile is a file being written front to back.
type outFile interface {
	io.Writer
	// preallocate reserves n bytes on the disk, so that it cannot fill up later. Where the file system cannot, it does nothing.
	preallocate(n int64) error
	// writeback starts writing [off, off+n) to the disk, and waits for what lies more than lag before.
	writeback(off, n, lag int64)
	Sync() error
	Close() error
}

// osFS is the real file system.
type osFS struct{}

func (osFS) create(path string) (outFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) open(path string) (io.ReadCloser, error) { return os.Open(path) }

func (osFS) free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil
}

func (osFS) rename(from, to string, replace bool) error {
	if replace {
		return os.Rename(from, to)
	}
	return renameNoReplace(from, to)
}

func (osFS) remove(path string) error { return os.Remove(path) }

// syncDir makes a new name in the folder last. Some network file systems cannot; their names last without.
func (osFS) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// linkNoReplace renames by a second link, for file systems that do not know renaming without replacing.
func linkNoReplace(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	return claimNoReplace(from, to)
}

// claimNoReplace is for file systems without links (FAT): it takes the name with an empty file, which nobody else then can,
// and renames over that.
func claimNoReplace(from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	f.Close()
	if err := os.Rename(from, to); err != nil {
		return removeAfter(err, osFS{}, to)
	}
	return nil
}

// osFile is a file of osFS.
type osFile struct{ *os.File }

// explain makes one line of an error of writing path, a file of total bytes.
func explain(err error, path string, total int64) error {
	dir := filepath.Dir(path)
	var source sourceError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &source):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w in %s: %s needs %d bytes (%s); free some or choose another folder",
			ErrNoSpace, dir, filepath.Base(path), total, humanBytes(total))
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w %s: the file system does not hold files of %s; choose another folder", ErrReadOnly, path, humanBytes(total))
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w; choose another name or force it", path, ErrExists)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w %s: the folder %s does not exist; create it first", ErrReadOnly, path, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w %s: the folder %s is read-only (%w); choose another folder", ErrReadOnly, path, dir, bare(err))
	}
	return fmt.Errorf("%w %s: %w", ErrReadOnly, path, bare(err))
}

// humanBytes prints a size as disks are sold, in powers of 1000.
func humanBytes(n int64) string {
	v, unit := float64(n), 0
	for v >= 1000 && unit < 4 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %s", v, [...]string{"B", "kB", "MB", "GB", "TB"}[unit])
}
