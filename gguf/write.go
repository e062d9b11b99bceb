package gguf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/ggufprune/ggufprune/internal/outfile"
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
// Discard after Commit does nothing, so it can be deferred. Commit and Discard of a nil Pending do nothing.
type Pending struct {
	out     *outfile.Pending
	written Written
	ctx     context.Context // that of WriteTemp, for a hash that Commit has to compute

	hashing sync.Mutex
}

// WriteTemp writes the plan to a temporary file in the folder of path, and through to the disk (fsync). Its name ends in
// .gguf and is not that of a shard, so it can be loaded to check it. On an error, also that of a cancelled ctx, no file is
// left behind; an existing output is an ErrExists unless o.Force, and one of the plan's sources an ErrIsInput in any case.
func WriteTemp(ctx context.Context, path string, p *Plan, o WriteOptions) (*Pending, error) {
	return writeTemp(ctx, outfile.System{}, path, p, o)
}

func writeTemp(ctx context.Context, fsys outfile.FS, path string, p *Plan, o WriteOptions) (*Pending, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	for _, f := range p.sources() {
		if SameFile(path, f) {
			return nil, fmt.Errorf("%s: %w; choose another name", path, ErrIsInput)
		}
	}
	total := p.Size()
	out, err := outfile.Create(path, outfile.Options{Force: o.Force, Size: total, Ext: ".gguf", FS: fsys})
	if err != nil {
		return nil, err
	}
	if err := writePlan(ctx, out, p, o.Progress); err != nil {
		var source sourceError
		if !errors.As(err, &source) {
			err = out.Explain(err)
		}
		return nil, out.Fail(err)
	}
	if err := out.Finish(); err != nil {
		return nil, err
	}
	return &Pending{out: out, ctx: ctx, written: Written{Path: path, Bytes: total}}, nil
}

// Path is the name of the temporary file.
func (p *Pending) Path() string { return p.out.Path() }

// SHA256 is the hash of the file in hexadecimal, computed at the first call. It is a pass of its own, since in one pass with
// the writing it would double the time of that: call it beside other work, from another goroutine, or leave it to Commit.
func (p *Pending) SHA256(ctx context.Context) (string, error) {
	p.hashing.Lock()
	defer p.hashing.Unlock()
	if p.written.SHA256 != "" {
		return p.written.SHA256, nil
	}
	r, err := p.out.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	if err := copyInto(ctx, h, r); err != nil {
		return "", fmt.Errorf("hash %s: %w", p.out.Path(), outfile.Plain(err))
	}
	p.written.SHA256 = hex.EncodeToString(h.Sum(nil))
	return p.written.SHA256, nil
}

// Commit gives the file its name and makes the name last (fsync of the folder). It computes the hash first where SHA256 was
// not called, and stops at that when the ctx of WriteTemp is cancelled. Where another file has taken the name since, it is
// an ErrExists, unless the file was to be forced. After an error the temporary file stays until Discard.
func (p *Pending) Commit() (Written, error) {
	if p == nil {
		return Written{}, nil
	}
	if _, err := p.SHA256(p.ctx); err != nil {
		return Written{}, err
	}
	if err := p.out.Commit(); err != nil {
		return Written{}, err
	}
	return p.written, nil
}

// Discard removes the temporary file.
func (p *Pending) Discard() error {
	if p == nil {
		return nil
	}
	return p.out.Discard()
}

// Reserved is an empty file under a temporary name, for a writer of somebody else's that takes no more than a name and may
// truncate it. Finish or Discard ends it.
type Reserved struct {
	Path string // the temporary name; it ends in .gguf

	to  string
	out *outfile.Pending // nil once it is finished or discarded
	ctx context.Context
}

// Reserve makes an empty temporary file in the folder of path, which the file is to get in the end, and makes sure that size
// bytes are free there. Errors are those of WriteTemp.
func Reserve(ctx context.Context, path string, size int64, force bool) (*Reserved, error) {
	return reserve(ctx, outfile.System{}, path, size, force)
}

func reserve(ctx context.Context, fsys outfile.FS, path string, size int64, force bool) (*Reserved, error) {
	out, err := outfile.Create(path, outfile.Options{Force: force, Size: size, Ext: ".gguf", FS: fsys})
	if err != nil {
		return nil, err
	}
	return &Reserved{Path: out.Path(), to: path, out: out, ctx: ctx}, nil
}

// Finish takes what has been written for complete, and makes it last (fsync). After an error no file is left.
func (r *Reserved) Finish() (*Pending, error) {
	if r.out == nil {
		return nil, fmt.Errorf("%s: it was finished or discarded already", r.Path)
	}
	out := r.out
	r.out = nil
	if err := out.Finish(); err != nil {
		return nil, err
	}
	st, err := os.Stat(r.Path)
	if err != nil {
		return nil, out.Fail(out.Explain(err))
	}
	return &Pending{out: out, ctx: r.ctx, written: Written{Path: r.to, Bytes: st.Size()}}, nil
}

// Discard removes the file. After Finish it does nothing.
func (r *Reserved) Discard() error {
	out := r.out
	r.out = nil
	return out.Discard()
}

// writePlan writes everything. Finish makes it last.
func writePlan(ctx context.Context, out sink, p *Plan, progress func(done, total int64)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := out.Preallocate(); err != nil {
		return err
	}
	s := &stream{ctx: ctx, out: out, total: p.Size(), progress: progress}
	return s.plan(p)
}
