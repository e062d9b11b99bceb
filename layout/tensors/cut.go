package tensors

import "github.com/ggufprune/ggufprune/gguf"

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

// sizeAs is what t takes as typ, -1 where its rows are no whole number of the type's blocks.
func sizeAs(t gguf.Tensor, typ gguf.Type) int64 {
	if !typ.Known() || t.Dims[0]%typ.BlockSize() != 0 {
		return -1
	}
	return typ.RowBytes(t.Dims[0]) * t.Rows()
}
