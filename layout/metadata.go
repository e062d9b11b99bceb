package layout

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
)

// metadata is an ordered list of key-values under edit. What is not edited keeps its raw bytes.
type metadata struct {
	kvs []gguf.KV
}

func (m *metadata) index(key string) int {
	return slices.IndexFunc(m.kvs, func(kv gguf.KV) bool { return kv.Key == key })
}

// set gives key the value v (see gguf.NewKV), in its place if it exists, else at the end.
func (m *metadata) set(key string, v any) error {
	kv, err := gguf.NewKV(key, v)
	if err != nil {
		return fmt.Errorf("metadata key %s: %w", key, err)
	}
	m.put(kv)
	return nil
}

// setAll sets several keys; pairs alternates keys and values.
func (m *metadata) setAll(pairs ...any) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := m.set(pairs[i].(string), pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// put stores kv, in the place of one of the same key if there is one. The metadata of general.* stays together.
func (m *metadata) put(kv gguf.KV) {
	if i := m.index(kv.Key); i >= 0 {
		m.kvs[i] = kv
		return
	}
	at := len(m.kvs)
	if strings.HasPrefix(kv.Key, "general.") {
		for i, have := range m.kvs {
			if strings.HasPrefix(have.Key, "general.") {
				at = i + 1
			}
		}
	}
	m.kvs = slices.Insert(m.kvs, at, kv)
}

// delete removes the keys that match.
func (m *metadata) delete(match func(key string) bool) {
	m.kvs = slices.DeleteFunc(m.kvs, func(kv gguf.KV) bool { return match(kv.Key) })
}

// rename gives the keys that begin with one prefix another one.
func (m *metadata) rename(from, to string) {
	for i, kv := range m.kvs {
		if rest, ok := strings.CutPrefix(kv.Key, from); ok {
			m.kvs[i].Key = to + rest
		}
	}
}

// rawArray is an array of fixed-size elements as a GGUF file holds it.
type rawArray struct {
	elem gguf.ValueType
	size int // bytes of an element
	data []byte
}

func (a rawArray) len() int { return len(a.data) / a.size }

// at is element i, little-endian.
func (a rawArray) at(i int) []byte { return a.data[i*a.size : (i+1)*a.size] }

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

// parseArray reads kv as an array of numbers or bools; ok is false for anything else.
// Layout of Raw: type 9 (uint32), element type (uint32), count (uint64), elements; all little-endian.
func parseArray(kv gguf.KV) (a rawArray, ok bool) {
	if kv.Type() != gguf.ValueArray || len(kv.Raw) < 16 {
		return rawArray{}, false
	}
	a.elem = gguf.ValueType(binary.LittleEndian.Uint32(kv.Raw[4:]))
	a.size = valueSize(a.elem)
	a.data = kv.Raw[16:]
	n := binary.LittleEndian.Uint64(kv.Raw[8:])
	return a, a.size > 0 && n == uint64(len(a.data)/a.size) && len(a.data)%a.size == 0
}

// pick makes an array of the elements at the indices, in their order. Every index is within the array.
func (a rawArray) pick(key string, indices []int) gguf.KV {
	raw := make([]byte, 16, 16+len(indices)*a.size)
	binary.LittleEndian.PutUint32(raw, uint32(gguf.ValueArray))
	binary.LittleEndian.PutUint32(raw[4:], uint32(a.elem))
	binary.LittleEndian.PutUint64(raw[8:], uint64(len(indices)))
	for _, i := range indices {
		raw = append(raw, a.at(i)...)
	}
	return gguf.KV{Key: key, Raw: raw}
}
