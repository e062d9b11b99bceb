package tensors

import (
	"fmt"

	"github.com/ggufprune/ggufprune/gguf"
)

// Cut says what stays of a tensor. A vector has elements where a matrix has rows. The zero value keeps everything.
type Cut struct {
	Rows    []int64 // that stay; nil keeps all of them
	Columns []int64 // elements of each row that stay; nil keeps all of them. Rows and Columns are not both cut.
}

// of is t with the dimensions that the cut leaves it. Its contents are not there.
func (c Cut) of(t gguf.Tensor) gguf.Tensor {
	dims := append([]uint64(nil), t.Dims...)
	if c.Rows != nil {
		dims[len(dims)-1] = uint64(len(c.Rows))
	}
	if c.Columns != nil {
		dims[0] = uint64(len(c.Columns))
	}
	t.Dims = dims
	return t
}

// needsContents reports whether what is left of t must be made anew: columns are spread over the blocks of a quantised row.
func (c Cut) needsContents(t gguf.Tensor) bool { return c.Columns != nil && t.Type.Quantized() }

// Elements is the number of elements that the cut leaves of t.
func (c Cut) Elements(t gguf.Tensor) uint64 { return c.of(t).Elements() }

// Bytes is what the cut leaves of t, written as typ: -1 where its rows are no whole number of the type's blocks.
func (c Cut) Bytes(t gguf.Tensor, typ gguf.Type) int64 { return sizeAs(c.of(t), typ) }

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
