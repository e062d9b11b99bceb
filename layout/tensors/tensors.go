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

// sizeAs is what t takes as typ, -1 where its rows are no whole number of the type's blocks.
func sizeAs(t gguf.Tensor, typ gguf.Type) int64 {
	if !typ.Known() || t.Dims[0]%typ.BlockSize() != 0 {
		return -1
	}
	return typ.RowBytes(t.Dims[0]) * t.Rows()
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
