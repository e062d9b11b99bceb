package gguf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// WriteOptions are the choices a caller has.
type WriteOptions struct {
	Force    bool                    // replace an existing output file
	Progress func(done, total int64) // called every few megabytes, in bytes of the file; may be nil
}

// Written describes a finished file.
type Written struct {
	Path   string
	Bytes  int64
	SHA256 string // of the file, in hexadecimal
}

// Pending is a file that is complete and on the disk, but under a temporary name. Exactly one of Commit and Discard ends it;
// Discard after Commit does nothing, so it can be deferred.
type Pending struct {
	temp    string
	force   bool
	done    bool // committed or discarded
	written Written
	fs      fileSystem
	ctx     context.Context // that of WriteTemp, for a hash that Commit has to compute

	hashing sync.Mutex
}

// WriteTemp writes the plan to a temporary file in the folder of path, and through to the disk (fsync). Its name ends in
// .gguf and is not that of a shard, so it can be loaded to check it. On an error, also that of a cancelled ctx, no file is
// left behind; an existing output is an ErrExists unless o.Force, and one of the plan's sources an ErrIsInput in any case.
func WriteTemp(ctx context.Context, path string, p *Plan, o WriteOptions) (*Pending, error) {
	return writeTemp(ctx, osFS{}, path, p, o)
}

func writeTemp(ctx context.Context, fsys fileSystem, path string, p *Plan, o WriteOptions) (*Pending, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := checkOutput(path, p, o.Force); err != nil {
		return nil, err
	}
	total := p.Size()
	if err := checkFree(fsys, path, total); err != nil {
		return nil, err
	}
	out, temp, err := createTemp(fsys, path)
	if err != nil {
		return nil, explain(err, path, total)
	}
	err = writePlan(ctx, out, p, o.Progress)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, removeAfter(explain(err, path, total), fsys, temp)
	}
	return &Pending{temp: temp, force: o.Force, fs: fsys, ctx: ctx, written: Written{Path: path, Bytes: total}}, nil
}

// Path is the name of the temporary file.
func (p *Pending) Path() string { return p.temp }

// SHA256 is the hash of the file in hexadecimal, computed at the first call. It is a pass of its own, since in one pass with
// the writing it would double the time of that: call it beside other work, from another goroutine, or leave it to Commit.
func (p *Pending) SHA256(ctx context.Context) (string, error) {
	p.hashing.Lock()
	defer p.hashing.Unlock()
	if p.written.SHA256 != "" {
		return p.written.SHA256, nil
	}
	r, err := p.fs.open(p.temp)
	if err != nil {
		return "", explain(err, p.written.Path, p.written.Bytes)
	}
	defer r.Close()
	h := sha256.New()
	if err := copyInto(ctx, h, r); err != nil {
		return "", fmt.Errorf("hash %s: %w", p.temp, bare(err))
	}
	p.written.SHA256 = hex.EncodeToString(h.Sum(nil))
	return p.written.SHA256, nil
}

// Commit gives the file its name and makes the name last (fsync of the folder). It computes the hash first where SHA256 was
// not called, and stops at that when the ctx of WriteTemp is cancelled. Where another file has taken the name since, it is
// an ErrExists, unless the file was to be forced. After an error the temporary file stays until Discard.
func (p *Pending) Commit() (Written, error) {
	if p.done {
		return Written{}, fmt.Errorf("%s: it was written or discarded already", p.written.Path)
	}
	if _, err := p.SHA256(p.ctx); err != nil {
		return Written{}, err
	}
	if err := p.fs.rename(p.temp, p.written.Path, p.force); err != nil {
		return Written{}, explain(err, p.written.Path, p.written.Bytes)
	}
	p.done = true
	if err := p.fs.syncDir(filepath.Dir(p.written.Path)); err != nil {
		// A name that a power failure may take back is no finished file.
		return Written{}, removeAfter(explain(err, p.written.Path, p.written.Bytes), p.fs, p.written.Path)
	}
	return p.written, nil
}

// Discard removes the temporary file.
func (p *Pending) Discard() error {
	if p.done {
		return nil
	}
	p.done = true
	if err := p.fs.remove(p.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p.temp, bare(err))
	}
	return nil
}

// removeAfter removes a file that is of no use after err, and returns err.
func removeAfter(err error, fsys fileSystem, path string) error {
	if rerr := fsys.remove(path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return fmt.Errorf("%w (and %s could not be removed: %w)", err, path, bare(rerr))
	}
	return err
}

// checkOutput refuses an output that must not be written to, before the work begins.
func checkOutput(path string, p *Plan, force bool) error {
	for _, f := range p.sources() {
		if SameFile(path, f) {
			return fmt.Errorf("%s: %w; choose another name", path, ErrIsInput)
		}
	}
	if shardPaths(path) != nil {
		return fmt.Errorf("%s: %w, it is named like a shard of a split model, and one file is written; choose another name", path, ErrReadOnly)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("%s: %w, it is a directory; add a file name", path, ErrReadOnly)
	} else if err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s: %w, it is not a regular file; choose another name", path, ErrReadOnly)
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s: %w; choose another name or force it", path, ErrExists)
	}
	return nil
}

// createTemp creates a file of a new name beside path.
func createTemp(fsys fileSystem, path string) (outFile, string, error) {
	base := filepath.Base(path)
	base = base[:min(len(base), 200)] // file names end at 255 bytes
	for tries := 0; ; tries++ {
		temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%08x.tmp.gguf", base, rand.Uint32()))
		out, err := fsys.create(temp)
		if err == nil || !errors.Is(err, fs.ErrExist) || tries == 10 {
			return out, temp, err
		}
	}
}

// writePlan writes everything, through to the disk.
func writePlan(ctx context.Context, out outFile, p *Plan, progress func(done, total int64)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	total := p.Size()
	if err := out.preallocate(total); err != nil {
		return err
	}
	s := &stream{ctx: ctx, out: out, total: total, progress: progress}
	if err := s.plan(p); err != nil {
		return err
	}
	return out.Sync()
}
