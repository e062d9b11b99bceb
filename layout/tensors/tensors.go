// Package tensors plans the tensors of an output file: each is one of the source, as it is or changed by a fit, cut along its rows or
// columns, a part of one, one times a factor, or new and constant. It knows no names and no architectures.
package tensors

import (
	"fmt"
	"io"

	"github.com/ggufprune/ggufprune/gguf"
)

// Source is where the contents of the tensors come from.
type Source struct {
	File    *gguf.File
	Changed map[string][]byte    // new contents of tensors of File, by name
	Types   map[string]gguf.Type // of Changed, where it is not the tensor's own
	Cuts    map[string]Cut       // what stays of tensors of File, by name; all of those that are not here
	// Outline: contents that only a fit can make may be missing. The plan then has the right sizes, and cannot be written.
	Outline bool
}

// Fits reports whether the tensor of this name exists and its changed contents have the size of their type.
func (s Source) Fits(name string) bool {
	t, ok := s.File.Tensor(name)
	return ok && int64(len(s.Changed[name])) == sizeAs(s.Cuts[name].of(t), s.typeOf(t))
}

// typeOf is the type that a tensor is written in.
func (s Source) typeOf(t gguf.Tensor) gguf.Type {
	if typ, ok := s.Types[t.Name]; ok {
		return typ
	}
	return t.Type
}

// Copy plans a tensor of the source, or what its cut leaves of it, under another name.
func (s Source) Copy(t gguf.Tensor, name string) gguf.PlanTensor {
	cut, typ := s.Cuts[t.Name], s.typeOf(t)
	p := gguf.PlanTensor{Name: name, Type: typ, Dims: cut.of(t).Dims}
	data, changed := s.Changed[t.Name]
	switch {
	case changed:
		p.Data = gguf.Changed(t, data)
	case s.Outline && (typ != t.Type || cut.needsContents(t)):
		p.Data = unknown(t, sizeAs(cut.of(t), typ))
	case cut.Columns != nil:
		p.Data = s.columns(t, cut)
	case cut.Rows != nil:
		p.Data = s.rows(t, cut.Rows)
	default:
		p.Data = gguf.Copy(s.File, t)
	}
	return p
}

// NeedsContents reports whether the tensor is cut so that only new contents can fill it, and there are none.
func (s Source) NeedsContents(t gguf.Tensor) bool {
	_, changed := s.Changed[t.Name]
	return !changed && !s.Outline && s.Cuts[t.Name].needsContents(t)
}

// rows are rows of a matrix or elements of a vector of the source. They move whole, whatever their type.
func (s Source) rows(t gguf.Tensor, rows []int64) gguf.Data {
	if len(t.Dims) == 1 {
		t.Dims = []uint64{1, t.Dims[0]}
	}
	return gguf.Rows(s.File, t, rows)
}

// columns are the columns of an unquantised matrix that the cut keeps. The matrix is read when they are written.
func (s Source) columns(t gguf.Tensor, cut Cut) gguf.Data {
	return gguf.Made(sizeAs(cut.of(t), t.Type), func() ([]byte, error) { return s.readCut(t) })
}

// readCut returns the bytes that the cut leaves of a tensor, which is unquantised if it has lost columns.
func (s Source) readCut(t gguf.Tensor) ([]byte, error) {
	b, err := s.read(t)
	cut := s.Cuts[t.Name]
	switch {
	case err != nil:
		return nil, err
	case cut.needsContents(t):
		return nil, fmt.Errorf("tensor %s is %s; columns can be picked of unquantised tensors only", t.Name, t.Type)
	case cut.Columns != nil:
		row, unit := t.Type.RowBytes(t.Dims[0]), t.Type.RowBytes(1)
		var out []byte
		for ; len(b) > 0; b = b[row:] {
			for _, c := range cut.Columns {
				out = append(out, b[c*unit:(c+1)*unit]...)
			}
		}
		return out, nil
	case cut.Rows != nil:
		unit := t.Type.RowBytes(t.Dims[0])
		if len(t.Dims) == 1 {
			unit = t.Type.RowBytes(1)
		}
		var out []byte
		for _, r := range cut.Rows {
			out = append(out, b[r*unit:(r+1)*unit]...)
		}
		return out, nil
	}
	return b, nil
}

// unknown stands for contents that are not there yet.
func unknown(t gguf.Tensor, size int64) gguf.Data {
	return gguf.Made(size, func() ([]byte, error) {
		return nil, fmt.Errorf("tensor %s has no contents: the plan is an outline, which cannot be written", t.Name)
	})
}

// read returns a tensor's bytes as the file has them.
func (s Source) read(t gguf.Tensor) ([]byte, error) {
	b := make([]byte, t.Size)
	if _, err := io.ReadFull(s.File.Data(t), b); err != nil {
		return nil, fmt.Errorf("read tensor %s: %w", t.Name, err)
	}
	return b, nil
}

// Zeros plans a matrix of zeros in F16, with rows of length row.
func Zeros(name string, row, rows int) gguf.PlanTensor {
	dims := []uint64{uint64(row), uint64(rows)}
	size := gguf.F16.RowBytes(dims[0]) * int64(rows)
	return gguf.PlanTensor{Name: name, Type: gguf.F16, Dims: dims, Data: gguf.Zeros(size)}
}

// Ones plans a vector of n ones in F32, the weight of a norm.
func Ones(name string, n int) gguf.PlanTensor {
	b := make([]byte, 0, 4*n)
	for range n {
		b = append(b, 0, 0, 0x80, 0x3f) // 1.0, little-endian
	}
	return gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: []uint64{uint64(n)}, Data: gguf.Bytes(b)}
}
