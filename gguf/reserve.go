package gguf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Reserved is an empty file under a temporary name, for a writer of somebody else's that takes no more than a name and may
// truncate it. Finish or Discard ends it.
type Reserved struct {
	Path string // the temporary name; it ends in .gguf

	out     outFile
	done    bool
	pending *Pending
}

// Reserve makes an empty temporary file in the folder of path, which the file is to get in the end, and makes sure that size
// bytes are free there. Errors are those of WriteTemp.
func Reserve(ctx context.Context, path string, size int64, force bool) (*Reserved, error) {
	return reserve(ctx, osFS{}, path, size, force)
}

func reserve(ctx context.Context, fsys fileSystem, path string, size int64, force bool) (*Reserved, error) {
	if err := checkOutput(path, &Plan{}, force); err != nil {
		return nil, err
	}
	if err := checkFree(fsys, path, size); err != nil {
		return nil, err
	}
	out, temp, err := createTemp(fsys, path)
	if err != nil {
		return nil, explain(err, path, size)
	}
	return &Reserved{Path: temp, out: out, pending: &Pending{temp: temp, force: force, fs: fsys, ctx: ctx, written: Written{Path: path}}}, nil
}

// checkFree returns an ErrNoSpace where the folder of path has less than size bytes free.
func checkFree(fsys fileSystem, path string, size int64) error {
	dir := filepath.Dir(path)
	if free, err := fsys.free(dir); err == nil && free < size {
		return fmt.Errorf("%w in %s: %s needs %d bytes (%s), and %d (%s) are free; free some or choose another folder",
			ErrNoSpace, dir, filepath.Base(path), size, humanBytes(size), free, humanBytes(free))
	}
	return nil
}

// Finish takes what has been written for complete, and makes it last (fsync). After an error no file is left.
func (r *Reserved) Finish() (*Pending, error) {
	if r.done {
		return nil, fmt.Errorf("%s: it was finished or discarded already", r.Path)
	}
	r.done = true
	err := r.out.Sync()
	if cerr := r.out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		var st os.FileInfo
		if st, err = os.Stat(r.Path); err == nil {
			r.pending.written.Bytes = st.Size()
		}
	}
	if err != nil {
		return nil, removeAfter(explain(err, r.pending.written.Path, r.pending.written.Bytes), r.pending.fs, r.Path)
	}
	return r.pending, nil
}

// Discard removes the file. After Finish it does nothing.
func (r *Reserved) Discard() error {
	if r.done {
		return nil
	}
	r.done = true
	r.out.Close()
	if err := r.pending.fs.remove(r.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", r.Path, bare(err))
	}
	return nil
}
