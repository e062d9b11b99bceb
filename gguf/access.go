package gguf

import (
	"fmt"
	"slices"
)

// Uint returns an integer of any width. found is false where the key is absent; a value of another type, or a negative
// one, is an error.
func (f *File) Uint(key string) (v uint64, found bool, err error) {
	kv, ok := f.KV(key)
	if !ok {
		return 0, false, nil
	}
	v, err = kv.uint()
	return v, err == nil, err
}

// Float returns a float32 or float64. An integer is an error: llama.cpp does not read it as a float either.
func (f *File) Float(key string) (v float64, found bool, err error) {
	kv, ok := f.KV(key)
	if !ok {
		return 0, false, nil
	}
	a, err := kv.Value()
	if err != nil {
		return 0, false, err
	}
	switch a := a.(type) {
	case float32:
		return float64(a), true, nil
	case float64:
		return a, true, nil
	}
	return 0, false, kv.wrongType("a float")
}

// Str returns a string.
func (f *File) Str(key string) (v string, found bool, err error) {
	kv, ok := f.KV(key)
	if !ok {
		return "", false, nil
	}
	if kv.Type() != ValueString {
		return "", false, kv.wrongType("a string")
	}
	a, err := kv.Value()
	if err != nil {
		return "", false, err
	}
	return a.(string), true, nil
}

// Bool returns a bool.
func (f *File) Bool(key string) (v, found bool, err error) {
	kv, ok := f.KV(key)
	if !ok {
		return false, false, nil
	}
	if kv.Type() != ValueBool {
		return false, false, kv.wrongType("a bool")
	}
	a, err := kv.Value()
	if err != nil {
		return false, false, err
	}
	return a.(bool), true, nil
}

// Uints returns an array of integers or of bools (0 or 1), or a single integer or bool as an array of one.
func (f *File) Uints(key string) (v []uint64, found bool, err error) {
	kv, ok := f.KV(key)
	if !ok {
		return nil, false, nil
	}
	a, err := kv.Value()
	if err != nil {
		return nil, false, err
	}
	if v, ok := toUints(a); ok {
		return v, true, nil
	}
	return nil, false, kv.wrongType("one or more non-negative integers")
}

// uint reads a single integer.
func (kv KV) uint() (uint64, error) {
	const want = "a non-negative integer"
	if t := kv.Type(); t == ValueArray || t == ValueBool {
		return 0, kv.wrongType(want)
	}
	a, err := kv.Value()
	if err != nil {
		return 0, err
	}
	v, ok := toUints(a)
	if !ok {
		return 0, kv.wrongType(want)
	}
	return v[0], nil
}

// uintOf finds a key in a list and reads it as a single integer.
func uintOf(kvs []KV, key string) (v uint64, found bool, err error) {
	i := slices.IndexFunc(kvs, func(kv KV) bool { return kv.Key == key })
	if i < 0 {
		return 0, false, nil
	}
	v, err = kvs[i].uint()
	return v, err == nil, err
}

func (kv KV) wrongType(want string) error {
	if v, err := kv.Value(); err == nil && kv.Type() != ValueArray && kv.Type() != ValueString {
		return malformed("metadata key %s is %v (%s); it must be %s", quote(kv.Key), v, kv.Type(), want)
	}
	return malformed("metadata key %s is of type %s; it must be %s", quote(kv.Key), kv.describeType(), want)
}

// describeType names the value's type, with that of the elements of an array.
func (kv KV) describeType() string {
	if kv.Type() != ValueArray || len(kv.Raw) < 8 {
		return kv.Type().String()
	}
	return fmt.Sprintf("array of %s", KV{Raw: kv.Raw[4:]}.Type())
}

// toUints converts integers and bools, single or many; false for anything else, negative ones included.
func toUints(a any) ([]uint64, bool) {
	switch a := a.(type) {
	case uint8:
		return widen([]uint8{a})
	case int8:
		return widen([]int8{a})
	case uint16:
		return widen([]uint16{a})
	case int16:
		return widen([]int16{a})
	case uint32:
		return widen([]uint32{a})
	case int32:
		return widen([]int32{a})
	case uint64:
		return widen([]uint64{a})
	case int64:
		return widen([]int64{a})
	case bool:
		return toUints([]bool{a})
	case []uint8:
		return widen(a)
	case []int8:
		return widen(a)
	case []uint16:
		return widen(a)
	case []int16:
		return widen(a)
	case []uint32:
		return widen(a)
	case []int32:
		return widen(a)
	case []uint64:
		return widen(a)
	case []int64:
		return widen(a)
	case []bool:
		out := make([]uint64, len(a))
		for i, b := range a {
			if b {
				out[i] = 1
			}
		}
		return out, true
	}
	return nil, false
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](in []T) ([]uint64, bool) {
	out := make([]uint64, len(in))
	for i, v := range in {
		if v < 0 {
			return nil, false
		}
		out[i] = uint64(v)
	}
	return out, true
}
