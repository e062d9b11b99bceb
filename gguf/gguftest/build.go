// Package gguftest builds GGUF files for tests, sound and damaged ones. It shares no code with package gguf, so that each
// can check the other.
package gguftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Model is the content of a file. Its zero value is a sound file of version 3 without metadata and tensors.
type Model struct {
	Version   uint32 // 0 stands for 3
	Alignment uint32 // of offsets and data, 0 stands for 32; the metadata does not follow by itself
	KVs       []KV
	Tensors   []Tensor

	// What the header claims, where it is not to be the truth.
	KVCount, TensorCount uint64
}

// KV is a metadata key. Value is a bool, string, number of fixed width, a slice of one of these, or Raw.
type KV struct {
	Key   string
	Value any
}

// Raw is a value with its type in front, as it shall stand in the file.
type Raw []byte

// Tensor is a tensor. Its data is put at the next aligned offset, unless Offset is given.
type Tensor struct {
	Name   string
	Type   uint32 // id in ggml.h
	Dims   []uint64
	Data   []byte
	Offset *uint64 // what the file claims, where it is not to be the truth
}

// Build makes the bytes of the file.
func Build(m Model) []byte {
	le := binary.LittleEndian
	if m.Version == 0 {
		m.Version = 3
	}
	if m.Alignment == 0 {
		m.Alignment = 32
	}
	if m.KVCount == 0 {
		m.KVCount = uint64(len(m.KVs))
	}
	if m.TensorCount == 0 {
		m.TensorCount = uint64(len(m.Tensors))
	}
	b := le.AppendUint32([]byte("GGUF"), m.Version)
	b = le.AppendUint64(b, m.TensorCount)
	b = le.AppendUint64(b, m.KVCount)
	for _, kv := range m.KVs {
		b = appendString(b, kv.Key)
		b = append(b, Value(kv.Value)...)
	}
	var data []byte
	for _, t := range m.Tensors {
		offset := uint64(len(data))
		if t.Offset != nil {
			offset = *t.Offset
		}
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, t.Type)
		b = le.AppendUint64(b, offset)
		data = padTo(append(data, t.Data...), int(m.Alignment))
	}
	return append(padTo(b, int(m.Alignment)), data...)
}

// Write makes the file in dir and returns its path.
func Write(t testing.TB, dir, name string, m Model) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, Build(m), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Split distributes the tensors of m, in order, over n shards with the metadata that llama.cpp's gguf-split writes.
func Split(m Model, n int) []Model {
	shards := make([]Model, n)
	for i := range shards {
		s := Model{Version: m.Version}
		if i == 0 {
			s.KVs = append(s.KVs, m.KVs...)
			s.Alignment = m.Alignment
		}
		s.KVs = append(s.KVs, KV{"split.no", uint16(i)}, KV{"split.count", uint16(n)}, KV{"split.tensors.count", int32(len(m.Tensors))})
		s.Tensors = m.Tensors[len(m.Tensors)*i/n : len(m.Tensors)*(i+1)/n]
		shards[i] = s
	}
	return shards
}

// ShardName is the name of shard i, from 0, of n.
func ShardName(prefix string, i, n int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, i+1, n)
}

// WriteSplit writes m as n shards and returns their paths.
func WriteSplit(t testing.TB, dir, prefix string, m Model, n int) []string {
	t.Helper()
	var paths []string
	for i, s := range Split(m, n) {
		paths = append(paths, Write(t, dir, ShardName(prefix, i, n), s))
	}
	return paths
}

// Value encodes a value with its type in front.
func Value(v any) []byte {
	if r, ok := v.(Raw); ok {
		return r
	}
	le := binary.LittleEndian
	id, list := valueID(v)
	if list == nil {
		return appendPayload(le.AppendUint32(nil, id), v)
	}
	b := le.AppendUint32(nil, 9)
	b = le.AppendUint32(b, id)
	b = le.AppendUint64(b, uint64(len(list)))
	for _, e := range list {
		b = appendPayload(b, e)
	}
	return b
}

// valueID is the id of v's type, or that of its elements with the elements.
func valueID(v any) (id uint32, list []any) {
	switch v := v.(type) {
	case uint8:
		return 0, nil
	case int8:
		return 1, nil
	case uint16:
		return 2, nil
	case int16:
		return 3, nil
	case uint32:
		return 4, nil
	case int32:
		return 5, nil
	case float32:
		return 6, nil
	case bool:
		return 7, nil
	case string:
		return 8, nil
	case uint64:
		return 10, nil
	case int64:
		return 11, nil
	case float64:
		return 12, nil
	case []uint8:
		return 0, boxed(v)
	case []int8:
		return 1, boxed(v)
	case []uint16:
		return 2, boxed(v)
	case []int16:
		return 3, boxed(v)
	case []uint32:
		return 4, boxed(v)
	case []int32:
		return 5, boxed(v)
	case []float32:
		return 6, boxed(v)
	case []bool:
		return 7, boxed(v)
	case []string:
		return 8, boxed(v)
	case []uint64:
		return 10, boxed(v)
	case []int64:
		return 11, boxed(v)
	case []float64:
		return 12, boxed(v)
	}
	panic(fmt.Sprintf("gguftest: no value type for %T", v))
}

func boxed[T any](v []T) []any {
	list := make([]any, len(v))
	for i := range v {
		list[i] = v[i]
	}
	return list
}

func appendPayload(b []byte, v any) []byte {
	if s, ok := v.(string); ok {
		return appendString(b, s)
	}
	var buf bytes.Buffer
	if err := binary.Write(&buf, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return append(b, buf.Bytes()...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func padTo(b []byte, alignment int) []byte {
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}

// KVs makes metadata of keys and values in turn.
func KVs(pairs ...any) []KV {
	var kvs []KV
	for i := 0; i < len(pairs); i += 2 {
		kvs = append(kvs, KV{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return kvs
}
