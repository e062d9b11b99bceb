package outfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// What can be wrong with an output, for errors.Is. The error that is returned is one line with the details and the next step.
var (
	ErrExists   = errors.New("output file exists")
	ErrIsInput  = errors.New("output is the input file")
	ErrNoSpace  = errors.New("not enough disk space")
	ErrReadOnly = errors.New("cannot write")
)

// Plain strips the operation and the path from an error of package os, for messages that name the path themselves.
func Plain(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// explain makes one line of an error of writing path, a file of size bytes. That of a cancelled context stays what it is.
func explain(err error, path string, size int64) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w in %s: %s needs %d bytes (%s); free some or choose another folder",
			ErrNoSpace, dir, filepath.Base(path), size, humanBytes(size))
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w %s: the file system does not hold files of %s; choose another folder", ErrReadOnly, path, humanBytes(size))
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w; choose another name or force it", path, ErrExists)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w %s: the folder %s does not exist; create it first", ErrReadOnly, path, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w %s: the folder %s is read-only (%w); choose another folder", ErrReadOnly, path, dir, Plain(err))
	}
	return fmt.Errorf("%w %s: %w", ErrReadOnly, path, Plain(err))
}

// noSpace is the error of a file at path that needs more than is free.
func noSpace(path string, needs, free int64) error {
	dir := filepath.Dir(path)
	return fmt.Errorf("%w in %s: %s needs %d bytes (%s), and %d (%s) are free; free some or choose another folder",
		ErrNoSpace, dir, filepath.Base(path), needs, humanBytes(needs), free, humanBytes(free))
}

// removeAfter removes a file that is of no use after err, and returns err.
func removeAfter(err error, fsys FS, path string) error {
	if rerr := fsys.Remove(path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return fmt.Errorf("%w (and %s could not be removed: %w)", err, path, Plain(rerr))
	}
	return err
}

// humanBytes prints a size as disks are sold, in powers of 1000.
func humanBytes(n int64) string {
	v, unit := float64(n), 0
	for v >= 1000 && unit < 4 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %s", v, [...]string{"B", "kB", "MB", "GB", "TB"}[unit])
}
