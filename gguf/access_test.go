package gguf

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

func TestAccessors(t *testing.T) {
	t.Parallel()
	f := openModel(t, gguftest.Model{KVs: gguftest.KVs(
		"test.integer.u8", uint8(7), "test.integer.i64", int64(7), "test.integer.negative", int32(-1),
		"test.float.f32", float32(0.5), "test.float.f64", 0.25, "test.some.string", "s", "test.some.bool", true,
		"test.array.i32", []int32{1, 2}, "test.array.negative", []int8{1, -2}, "test.array.bool", []bool{true, false},
		"test.array.string", []string{"a"}, "test.array.empty", []uint32{}, "test.array.float", []float32{1},
	), Tensors: []gguftest.Tensor{{Name: "a", Dims: []uint64{64}, Data: make([]byte, 256)}}})

	for key, want := range map[string]uint64{"test.integer.u8": 7, "test.integer.i64": 7} {
		if v, ok, err := f.Uint(key); v != want || !ok || err != nil {
			t.Errorf("%s: %d, %v, %v", key, v, ok, err)
		}
	}
	for key, want := range map[string]float64{"test.float.f32": 0.5, "test.float.f64": 0.25} {
		if v, ok, err := f.Float(key); v != want || !ok || err != nil {
			t.Errorf("%s: %v, %v, %v", key, v, ok, err)
		}
	}
	for key, want := range map[string][]uint64{
		"test.array.i32": {1, 2}, "test.array.bool": {1, 0}, "test.array.empty": {}, "test.integer.u8": {7}, "test.some.bool": {1},
	} {
		if v, ok, err := f.Uints(key); !slices.Equal(v, want) || !ok || err != nil {
			t.Errorf("%s: %v, %v, %v", key, v, ok, err)
		}
	}
	if v, ok, err := f.Str("test.some.string"); v != "s" || !ok || err != nil {
		t.Error(v, ok, err)
	}
	if v, ok, err := f.Bool("test.some.bool"); !v || !ok || err != nil {
		t.Error(v, ok, err)
	}
}

// Every accessor on every key: the right ones answer, all others return an error that names the key, none panics.
func TestAccessorsOnWrongTypes(t *testing.T) {
	t.Parallel()
	kvs := gguftest.KVs(
		"test.key.string", "3", "test.key.float32", float32(3), "test.key.negative", int8(-3), "test.key.integer", uint16(3),
		"test.key.bool", true, "test.key.strings", []string{"3"}, "test.key.floats", []float64{3}, "test.key.integers", []int16{3},
		"test.key.empty", []uint64{},
	)
	accessors := map[string]func(*File, string) (bool, error){
		"Uint":  func(f *File, k string) (bool, error) { _, ok, err := f.Uint(k); return ok, err },
		"Float": func(f *File, k string) (bool, error) { _, ok, err := f.Float(k); return ok, err },
		"Str":   func(f *File, k string) (bool, error) { _, ok, err := f.Str(k); return ok, err },
		"Bool":  func(f *File, k string) (bool, error) { _, ok, err := f.Bool(k); return ok, err },
		"Uints": func(f *File, k string) (bool, error) { _, ok, err := f.Uints(k); return ok, err },
	}
	right := map[string]string{
		"test.key.string": "Str", "test.key.float32": "Float", "test.key.integer": "Uint Uints", "test.key.bool": "Bool Uints",
		"test.key.integers": "Uints", "test.key.empty": "Uints",
	}
	f := openModel(t, gguftest.Model{KVs: kvs, Tensors: []gguftest.Tensor{{Name: "a", Dims: []uint64{64}, Data: make([]byte, 256)}}})
	for name, get := range accessors {
		for _, kv := range kvs {
			ok, err := get(f, kv.Key)
			if slices.Contains(strings.Fields(right[kv.Key]), name) {
				if !ok || err != nil {
					t.Errorf("%s(%s): %v, %v", name, kv.Key, ok, err)
				}
				continue
			}
			if ok || !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), kv.Key) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s(%s): %v, %v", name, kv.Key, ok, err)
			}
		}
		if ok, err := get(f, "test.key.absent"); ok || err != nil {
			t.Errorf("%s of an absent key: %v, %v", name, ok, err)
		}
	}
}
