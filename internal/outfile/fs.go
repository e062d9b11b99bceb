package outfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// FS is what writing needs of the system. Tests put one in its place whose disk is full or whose calls fail.
type FS interface {
	Create(path string, perm fs.FileMode) (File, error) // fs.ErrExist where path exists
	Open(path string) (io.ReadCloser, error)
	Free(dir string) (int64, error)             // bytes that may still be written there
	Rename(from, to string, replace bool) error // fs.ErrExist where to exists and may not be replaced; without a race
	Remove(path string) error
	SyncDir(dir string) error
}

// File is a file being written front to back.
type File interface {
	io.Writer
	// Preallocate reserves n bytes on the disk, so that it cannot fill up later. Where the file system cannot, it does nothing.
	Preallocate(n int64) error
	// Writeback starts writing [off, off+n) to the disk, and waits for what lies more than lag before.
	Writeback(off, n, lag int64)
	Sync() error
	Close() error
}

// System is the real file system.
type System struct{}

// Create makes a new file.
func (System) Create(path string, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Open opens a file for reading.
func (System) Open(path string) (io.ReadCloser, error) { return os.Open(path) }

// Free returns the bytes that a file in dir may still take.
func Free(dir string) (int64, error) { return System{}.Free(dir) }

// Free returns what the package's [Free] does.
func (System) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil
}

// Rename gives a file another name in the same folder.
func (System) Rename(from, to string, replace bool) error {
	if replace {
		return os.Rename(from, to)
	}
	return renameNoReplace(from, to)
}

// Remove removes a file.
func (System) Remove(path string) error { return os.Remove(path) }

// SyncDir makes a new name in the folder last. Some network file systems cannot; their names last without.
func (System) SyncDir(dir string) error {
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

// claimNoReplace is for file systems without links (FAT): it takes the name with an empty file, so that others cannot, and renames over
// that.
func claimNoReplace(from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	f.Close()
	if err := os.Rename(from, to); err != nil {
		return removeAfter(err, System{}, to)
	}
	return nil
}

// osFile is a file of System.
type osFile struct{ *os.File }
