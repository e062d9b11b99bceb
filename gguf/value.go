package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// ValueType is the type of a metadata value, gguf_type in gguf.h.
type ValueType uint32

// The value types. An Array has elements of one other type.
const (
	ValueUint8 ValueType = iota
	ValueInt8
	ValueUint16
	ValueInt16
	ValueUint32
	ValueInt32
	ValueFloat32
	ValueBool
	ValueString
	ValueArray
	ValueUint64
	ValueInt64
	ValueFloat64
)

var valueNames = [...]string{
	"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64",
}

// valueSizes holds the bytes of one value, 0 where they vary.
var valueSizes = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

func (t ValueType) known() bool { return int(t) < len(valueNames) }

func (t ValueType) String() string {
	if t.known() {
		return valueNames[t]
	}
	return fmt.Sprintf("value type %d", uint32(t))
}

// KV is a metadata key with its value. Raw is the value exactly as a v3 file holds it: its type (uint32, little-endian)
// and its payload. Copying Raw copies the value bit by bit, whatever its strings hold.
type KV struct {
	Key string
	Raw []byte
}

// Type is the value's type.
func (kv KV) Type() ValueType {
	if len(kv.Raw) < 4 {
		return ValueType(math.MaxUint32)
	}
	return ValueType(binary.LittleEndian.Uint32(kv.Raw))
}

// arrayLen is the number of elements of an array, of a Raw that passed checkRaw.
func (kv KV) arrayLen() uint64 { return binary.LittleEndian.Uint64(kv.Raw[8:]) }

// Value decodes the value: uint8, int8, ..., uint64, int64, float32, float64, bool, string, or a slice of one of these.
// A Raw that is no value of a GGUF file is an error.
func (kv KV) Value() (any, error) {
	v, err := decode(kv.Raw)
	if err != nil {
		return nil, fmt.Errorf("metadata key %s: %w", quote(kv.Key), err)
	}
	return v, nil
}

// NewKV makes a KV of a bool, string, [u]int8 to [u]int64, float32, float64, or a slice of one of these.
// A value of another type, e.g. int, is an error: its width in the file would be a guess.
func NewKV(key string, v any) (KV, error) {
	raw, err := encode(v)
	if err != nil {
		return KV{}, fmt.Errorf("metadata key %s: %w", quote(key), err)
	}
	return KV{Key: key, Raw: raw}, nil
}

// decode reads a whole value of the layout of KV.Raw.
func decode(raw []byte) (any, error) {
	if err := checkRaw(raw); err != nil {
		return nil, err
	}
	t, p := (KV{Raw: raw}).Type(), raw[4:]
	if t != ValueArray {
		return decodeScalar(t, p), nil
	}
	elem := ValueType(binary.LittleEndian.Uint32(p))
	return decodeArray(elem, int(binary.LittleEndian.Uint64(p[4:])), p[12:]), nil
}

// decodeScalar reads a value whose length was checked.
func decodeScalar(t ValueType, p []byte) any {
	switch t {
	case ValueUint8:
		return p[0]
	case ValueInt8:
		return int8(p[0])
	case ValueUint16:
		return binary.LittleEndian.Uint16(p)
	case ValueInt16:
		return int16(binary.LittleEndian.Uint16(p))
	case ValueUint32:
		return binary.LittleEndian.Uint32(p)
	case ValueInt32:
		return int32(binary.LittleEndian.Uint32(p))
	case ValueFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(p))
	case ValueBool:
		return p[0] != 0
	case ValueString:
		return string(p[8 : 8+binary.LittleEndian.Uint64(p)])
	case ValueUint64:
		return binary.LittleEndian.Uint64(p)
	case ValueInt64:
		return int64(binary.LittleEndian.Uint64(p))
	default: // ValueFloat64, the only one left of those that the scanner lets pass
		return math.Float64frombits(binary.LittleEndian.Uint64(p))
	}
}

// decodeArray reads n elements of type t, whose length was checked, into a slice of the type's own Go type.
func decodeArray(t ValueType, n int, p []byte) any {
	switch t {
	case ValueUint8:
		return slices.Clone(p[:n:n])
	case ValueInt8:
		return elements[int8](t, n, p)
	case ValueUint16:
		return elements[uint16](t, n, p)
	case ValueInt16:
		return elements[int16](t, n, p)
	case ValueUint32:
		return elements[uint32](t, n, p)
	case ValueInt32:
		return elements[int32](t, n, p)
	case ValueFloat32:
		return elements[float32](t, n, p)
	case ValueBool:
		return elements[bool](t, n, p)
	case ValueString:
		return elements[string](t, n, p)
	case ValueUint64:
		return elements[uint64](t, n, p)
	case ValueInt64:
		return elements[int64](t, n, p)
	default:
		return elements[float64](t, n, p)
	}
}

func elements[T any](t ValueType, n int, p []byte) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = decodeScalar(t, p).(T)
		size := valueSizes[t]
		if t == ValueString {
			size = 8 + binary.LittleEndian.Uint64(p)
		}
		p = p[size:]
	}
	return out
}

// encode makes a KV.Raw.
func encode(v any) ([]byte, error) {
	le := binary.LittleEndian
	if t, ok := scalarType(v); ok {
		return appendScalar(le.AppendUint32(nil, uint32(t)), v), nil
	}
	switch v := v.(type) {
	case []uint8:
		return encodeArray(ValueUint8, v), nil
	case []int8:
		return encodeArray(ValueInt8, v), nil
	case []uint16:
		return encodeArray(ValueUint16, v), nil
	case []int16:
		return encodeArray(ValueInt16, v), nil
	case []uint32:
		return encodeArray(ValueUint32, v), nil
	case []int32:
		return encodeArray(ValueInt32, v), nil
	case []float32:
		return encodeArray(ValueFloat32, v), nil
	case []bool:
		return encodeArray(ValueBool, v), nil
	case []string:
		return encodeArray(ValueString, v), nil
	case []uint64:
		return encodeArray(ValueUint64, v), nil
	case []int64:
		return encodeArray(ValueInt64, v), nil
	case []float64:
		return encodeArray(ValueFloat64, v), nil
	}
	return nil, fmt.Errorf("a %T cannot be a metadata value; use a type of fixed width", v)
}

func encodeArray[T any](t ValueType, v []T) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(ValueArray))
	b = le.AppendUint32(b, uint32(t))
	b = le.AppendUint64(b, uint64(len(v)))
	for _, e := range v {
		b = appendScalar(b, e)
	}
	return b
}

// scalarType is the value type of a scalar, false for anything else.
func scalarType(v any) (ValueType, bool) {
	switch v.(type) {
	case uint8:
		return ValueUint8, true
	case int8:
		return ValueInt8, true
	case uint16:
		return ValueUint16, true
	case int16:
		return ValueInt16, true
	case uint32:
		return ValueUint32, true
	case int32:
		return ValueInt32, true
	case float32:
		return ValueFloat32, true
	case bool:
		return ValueBool, true
	case string:
		return ValueString, true
	case uint64:
		return ValueUint64, true
	case int64:
		return ValueInt64, true
	case float64:
		return ValueFloat64, true
	}
	return 0, false
}

// appendScalar appends the payload of a scalar of one of scalarType's types.
func appendScalar(b []byte, v any) []byte {
	if s, ok := v.(string); ok {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	b, err := binary.Append(b, binary.LittleEndian, v)
	if err != nil {
		panic(err) // scalarType lets only types of fixed width through
	}
	return b
}
