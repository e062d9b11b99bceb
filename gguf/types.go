package gguf

import (
	"fmt"
	"math"
	"math/bits"
)

// Type is the id of a tensor's element type, ggml_type in ggml.h.
type Type uint32

// The types that llama.cpp v0.5.0 reads. Ids 4, 5, 31 to 33 and 36 to 38 were given to types that it has removed since.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42
)

// typeTrait describes one type: a block of blockSize consecutive elements of a row takes typeSize bytes.
type typeTrait struct {
	name                string
	blockSize, typeSize uint64
}

// typeTraits is type_traits of ggml.c with the block structs of ggml-common.h, in numbers.
var typeTraits = map[Type]typeTrait{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2}, F64: {"F64", 1, 8},
	I8: {"I8", 1, 1}, I16: {"I16", 1, 2}, I32: {"I32", 1, 4}, I64: {"I64", 1, 8},

	Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24},
	Q8_0: {"Q8_0", 32, 34}, Q8_1: {"Q8_1", 32, 36},

	Q2_K: {"Q2_K", 256, 84}, Q3_K: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144},
	Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210}, Q8_K: {"Q8_K", 256, 292},

	IQ1_S: {"IQ1_S", 256, 50}, IQ1_M: {"IQ1_M", 256, 56}, IQ2_XXS: {"IQ2_XXS", 256, 66}, IQ2_XS: {"IQ2_XS", 256, 74},
	IQ2_S: {"IQ2_S", 256, 82}, IQ3_XXS: {"IQ3_XXS", 256, 98}, IQ3_S: {"IQ3_S", 256, 110},
	IQ4_NL: {"IQ4_NL", 32, 18}, IQ4_XS: {"IQ4_XS", 256, 136},

	TQ1_0: {"TQ1_0", 256, 54}, TQ2_0: {"TQ2_0", 256, 66},
	MXFP4: {"MXFP4", 32, 17}, NVFP4: {"NVFP4", 64, 36},
	Q1_0: {"Q1_0", 128, 18}, Q2_0: {"Q2_0", 64, 18},
}

// Known reports whether llama.cpp v0.5.0 has the type.
func (t Type) Known() bool { _, ok := typeTraits[t]; return ok }

// Name is the type's name as ggml.h spells it, e.g. "Q4_K"; "type 99" for an unknown one.
func (t Type) Name() string {
	if tr, ok := typeTraits[t]; ok {
		return tr.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

func (t Type) String() string { return t.Name() }

// BlockSize is the number of elements in a block, 0 for an unknown type. The length of a row is a multiple of it.
func (t Type) BlockSize() uint64 { return typeTraits[t].blockSize }

// TypeSize is the number of bytes in a block, 0 for an unknown type.
func (t Type) TypeSize() uint64 { return typeTraits[t].typeSize }

// RowBytes is the number of bytes of a row of ne0 elements, ne0 being a multiple of BlockSize; 0 for an unknown type.
func (t Type) RowBytes(ne0 uint64) int64 {
	tr := typeTraits[t]
	if tr.blockSize == 0 {
		return 0
	}
	return int64(ne0 / tr.blockSize * tr.typeSize)
}

// Quantized reports whether the type packs several elements into a block.
func (t Type) Quantized() bool { return t.BlockSize() > 1 }

// Integer reports whether values are whole numbers as they are: tables, no weights.
func (t Type) Integer() bool { return t == I8 || t == I16 || t == I32 || t == I64 }

// maxDims is GGML_MAX_DIMS.
const maxDims = 4

// tensorSize checks a tensor's shape and returns its number of elements and of bytes.
// dims is in ggml's order: dims[0] is the length of a row, contiguous in memory.
func tensorSize(t Type, dims []uint64) (elements uint64, size int64, err error) {
	if !t.Known() {
		return 0, 0, fmt.Errorf("has tensor type %d, which llama.cpp v0.5.0 does not know", uint32(t))
	}
	if len(dims) == 0 || len(dims) > maxDims {
		return 0, 0, fmt.Errorf("has %d dimensions; 1 to %d are allowed", len(dims), maxDims)
	}
	elements = 1
	for i, d := range dims {
		if d == 0 {
			return 0, 0, fmt.Errorf("has dimension %d of length 0", i)
		}
		hi, lo := bits.Mul64(elements, d)
		if hi != 0 || lo > math.MaxInt64 {
			return 0, 0, fmt.Errorf("has dimensions %v, whose product overflows", dims)
		}
		elements = lo
	}
	if dims[0]%t.BlockSize() != 0 {
		return 0, 0, fmt.Errorf("has rows of %d elements, no multiple of the block of %d that %s packs", dims[0], t.BlockSize(), t)
	}
	hi, lo := bits.Mul64(elements/t.BlockSize(), t.TypeSize())
	if hi != 0 || lo > math.MaxInt64 {
		return 0, 0, fmt.Errorf("has dimensions %v, whose size in bytes overflows", dims)
	}
	return elements, int64(lo), nil
}
