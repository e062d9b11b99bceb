package gguf

import (
	"context"
	"fmt"
	"os"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

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
