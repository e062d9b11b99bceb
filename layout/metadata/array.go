package metadata

import (
	"encoding/binary"

	"github.com/ggufprune/ggufprune/gguf"
)

// Array is an array of fixed-size elements as a GGUF file holds it.
type Array struct {
	Elem gguf.ValueType
	Size int // bytes of an element
	Data []byte
}

// Len is the number of elements.
func (a Array) Len() int { return len(a.Data) / a.Size }

// At is element i, little-endian.
func (a Array) At(i int) []byte { return a.Data[i*a.Size : (i+1)*a.Size] }

// valueSize is the number of bytes of a value, 0 where it varies.
func valueSize(t gguf.ValueType) int {
	switch t {
	case gguf.ValueUint8, gguf.ValueInt8, gguf.ValueBool:
		return 1
	case gguf.ValueUint16, gguf.ValueInt16:
		return 2
	case gguf.ValueUint32, gguf.ValueInt32, gguf.ValueFloat32:
		return 4
	case gguf.ValueUint64, gguf.ValueInt64, gguf.ValueFloat64:
		return 8
	}
	return 0
}

// ParseArray reads kv as an array of numbers or bools; ok is false for anything else.
// Layout of Raw: type 9 (uint32), element type (uint32), count (uint64), elements; all little-endian.
func ParseArray(kv gguf.KV) (a Array, ok bool) {
	if kv.Type() != gguf.ValueArray || len(kv.Raw) < 16 {
		return Array{}, false
	}
	a.Elem = gguf.ValueType(binary.LittleEndian.Uint32(kv.Raw[4:]))
	a.Size = valueSize(a.Elem)
	a.Data = kv.Raw[16:]
	n := binary.LittleEndian.Uint64(kv.Raw[8:])
	return a, a.Size > 0 && n == uint64(len(a.Data)/a.Size) && len(a.Data)%a.Size == 0
}

// Pick makes an array of the elements at the indices, in their order. Every index is within the array.
func (a Array) Pick(key string, indices []int) gguf.KV {
	raw := make([]byte, 16, 16+len(indices)*a.Size)
	binary.LittleEndian.PutUint32(raw, uint32(gguf.ValueArray))
	binary.LittleEndian.PutUint32(raw[4:], uint32(a.Elem))
	binary.LittleEndian.PutUint64(raw[8:], uint64(len(indices)))
	for _, i := range indices {
		raw = append(raw, a.At(i)...)
	}
	return gguf.KV{Key: key, Raw: raw}
}
