package gguf

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// evil is a file that must be refused: with an error that says want, and is is.
type evil struct {
	name string
	file []byte
	is   error
	want string
}

// small is a sound model that each evil file differs from in one thing.
func small() gguftest.Model {
	return gguftest.Model{
		KVs:     gguftest.KVs("general.architecture", "llama", "llama.block_count", uint32(1)),
		Tensors: []gguftest.Tensor{{Name: "first.weight", Dims: []uint64{32}, Data: make([]byte, 128)}, {Name: "second.weight", Dims: []uint64{32}, Data: make([]byte, 128)}},
	}
}

// with makes the small model with a change.
func with(change func(*gguftest.Model)) []byte {
	m := small()
	change(&m)
	return gguftest.Build(m)
}

// withKV makes the small model with one more key.
func withKV(key string, value any) []byte {
	return with(func(m *gguftest.Model) { m.KVs = append(m.KVs, gguftest.KV{Key: key, Value: value}) })
}

// withTensor makes the small model with a change of its second tensor.
func withTensor(change func(*gguftest.Tensor)) []byte {
	return with(func(m *gguftest.Model) { change(&m.Tensors[1]) })
}

// patched puts bytes at a place of the small model.
func patched(at int, b ...byte) []byte {
	file := gguftest.Build(small())
	copy(file[at:], b)
	return file
}

// raw is a value of ids and lengths, each a uint32 or uint64, and bytes.
func raw(parts ...any) gguftest.Raw {
	var b []byte
	for _, p := range parts {
		b, _ = binary.Append(b, binary.LittleEndian, p)
	}
	return b
}

func evilStarts() []evil {
	return []evil{
		{"empty", nil, ErrNotGGUF, "it is empty"},
		{"two bytes", []byte("GG"), ErrNotGGUF, `starts with "GG"`},
		{"only the magic", []byte("GGUF"), ErrTruncated, "0 are left"},
		{"text", []byte("hello\nworld"), ErrNotGGUF, `starts with "hell"`},
		{"zip", []byte("PK\x03\x04rest of it"), ErrNotGGUF, "PyTorch"},
		{"web page", []byte("<!doctype html><html>"), ErrNotGGUF, "web page"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\n"), ErrNotGGUF, "git lfs pull"},
		{"GGML", []byte("lmggxxxxxxxx"), ErrNotGGUF, "GGML file"},
		{"safetensors", []byte("\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":1}"), ErrNotGGUF, "safetensors"},
		{"version 0", patched(4, 0), ErrVersion, "version 0"},
		{"version 1", patched(4, 1), ErrVersion, "convert the model again"},
		{"version 4", patched(4, 4), ErrVersion, "version 4"},
		{"big-endian", patched(4, 0, 0, 0, 3), ErrBigEndian, "gguf_convert_endian.py"},
		{"big-endian magic", patched(0, 'F', 'U', 'G', 'G'), ErrBigEndian, "gguf_convert_endian.py"},
		{"count of tensors", with(func(m *gguftest.Model) { m.TensorCount = 1 << 60 }), ErrTruncated, "tensors"},
		{"count of keys", with(func(m *gguftest.Model) { m.KVCount = math.MaxUint64 }), ErrTruncated, "metadata keys"},
	}
}

func evilKVs() []evil {
	many := make([]uint8, 1<<20)
	return []evil{
		{"key length", patched(24, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), ErrTruncated, "metadata key 0"},
		{"long key", withKV(strings.Repeat("k", 65536), uint8(1)), ErrMalformed, "65535 are allowed"},
		{"empty key", withKV("", uint8(1)), ErrMalformed, "key 2 is empty"},
		{"repeated key", withKV("general.architecture", "qwen2"), ErrMalformed, "occurs twice"},
		{"line breaks in a key", withKV("a\nb\r", raw(uint32(13))), ErrMalformed, `"a\nb\r"`},
		{"value type", withKV("general.x", raw(uint32(13))), ErrMalformed, "unknown value type 13"},
		{"string length", withKV("general.x", raw(uint32(8), uint64(1)<<40)), ErrTruncated, `"general.x"`},
		{"string length 2^64-1", withKV("general.x", raw(uint32(8), uint64(math.MaxUint64))), ErrTruncated, `"general.x"`},
		{"array type", withKV("general.x", raw(uint32(9), uint32(77), uint64(1))), ErrMalformed, "unknown value type 77"},
		{"array length", withKV("general.x", raw(uint32(9), uint32(4), uint64(1)<<40)), ErrTruncated, "array elements"},
		{"array length that overflows", withKV("general.x", raw(uint32(9), uint32(10), uint64(1)<<61)), ErrTruncated, "array elements"},
		{"array of strings", withKV("general.x", raw(uint32(9), uint32(8), uint64(1)<<40)), ErrTruncated, "strings"},
		{"array of arrays", withKV("general.x", raw(uint32(9), uint32(9), uint64(1), uint32(4), uint64(0))), ErrMalformed, "array of arrays"},
		{"alignment 0", withKV("general.alignment", uint32(0)), ErrMalformed, "power of two"},
		{"alignment 48", withKV("general.alignment", uint32(48)), ErrMalformed, "power of two"},
		{"alignment text", withKV("general.alignment", "32"), ErrMalformed, "must be uint32"},
		{"alignment uint64", withKV("general.alignment", uint64(32)), ErrMalformed, "must be uint32"},
		{"architecture number", with(func(m *gguftest.Model) { m.KVs[0].Value = uint32(3) }), ErrMalformed, "it must be a string"},
		{"block_count text", with(func(m *gguftest.Model) { m.KVs[1].Value = "1" }), ErrMalformed, "non-negative integer"},
		{"block_count array", with(func(m *gguftest.Model) { m.KVs[1].Value = []uint32{1} }), ErrMalformed, "array of uint32"},
		{"block_count negative", with(func(m *gguftest.Model) { m.KVs[1].Value = int32(-1) }), ErrMalformed, "is -1"},
		{"block_count huge", with(func(m *gguftest.Model) { m.KVs[1].Value = uint32(1 << 30) }), ErrMalformed, "512 layers"},
		{"huge array per layer", withKV("llama.attention.head_count", many), ErrMalformed, "512 layers"},
		{"file type text, for gguf-parser-go", withKV("general.file_type", "7"), ErrMalformed, "gguf-parser-go cannot read it"},
		{"split.tensors.count huge", withKV("split.tensors.count", uint64(1)<<40), ErrMalformed, "2 tensors"},
		{"split.tensors.count negative", withKV("split.tensors.count", int32(-1)), ErrMalformed, "non-negative"},
		{"split.count text", withKV("split.count", "2"), ErrMalformed, "non-negative"},
		{"split.count huge", withKV("split.count", uint64(1)<<40), ErrMalformed, "99999"},
		{"split, not named like it", withKV("split.count", uint16(3)), ErrMalformed, "not named like one"},
	}
}

func evilTensors() []evil {
	at := func(offset uint64) []byte {
		return withTensor(func(t *gguftest.Tensor) { t.Offset = &offset })
	}
	dims := func(typ Type, dims ...uint64) []byte {
		return withTensor(func(t *gguftest.Tensor) { t.Type, t.Dims = uint32(typ), dims })
	}
	name := func(name string) []byte { return withTensor(func(t *gguftest.Tensor) { t.Name = name }) }
	whole := gguftest.Build(small())
	return []evil{
		{"no name", name(""), ErrMalformed, "without a name"},
		{"name of 64 bytes", name(strings.Repeat("n", 64)), ErrMalformed, "63 are allowed"},
		{"repeated name", name("first.weight"), ErrMalformed, "occurs twice"},
		{"no dimension", dims(F32), ErrMalformed, "0 dimensions"},
		{"five dimensions", dims(F32, 2, 2, 2, 2, 2), ErrMalformed, "5 dimensions"},
		{"dimension 0", dims(F32, 4, 0), ErrMalformed, "length 0"},
		{"product that overflows", dims(F32, 1<<33, 1<<33), ErrMalformed, "overflows"},
		{"product that overflows to 0", dims(F32, 1<<32, 1<<32), ErrMalformed, "overflows"},
		{"bytes that overflow", dims(F64, 1<<62), ErrMalformed, "overflows"},
		{"removed type", dims(4, 32), ErrMalformed, "does not know"},
		{"removed type of the parser", dims(31, 32), ErrMalformed, "does not know"},
		{"unknown type", dims(4711, 32), ErrMalformed, "type 4711"},
		{"rows of broken blocks", dims(Q8_0, 33), ErrMalformed, "no multiple of the block of 32"},
		{"offset not aligned", at(129), ErrMalformed, "no multiple of the alignment 32"},
		{"offset beyond the file", at(1 << 20), ErrTruncated, "bytes more"},
		{"offset 2^63", at(1 << 63), ErrMalformed, "beyond any file"},
		{"offset that wraps around", at(math.MaxUint64 - 31), ErrMalformed, "beyond any file"},
		{"overlap", at(96), ErrMalformed, "overlap"},
		{"same place", at(0), ErrMalformed, "overlap"},
		{"cut in the data", whole[:len(whole)-100], ErrTruncated, "100 bytes more"},
		{"cut before the data", whole[:len(whole)-256], ErrTruncated, "256 bytes more"},
		{"cut in the tensors", whole[:120], ErrTruncated, "tensor"},
		{"cut in the keys", whole[:90], ErrTruncated, "metadata key"},
	}
}

// allocated is the memory that do takes, freed or not. It counts the whole process, so its tests are not parallel.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestEvilFiles(t *testing.T) {
	if _, err := openBytes(t, gguftest.Build(small())); err != nil {
		t.Fatalf("the sound file is refused: %v", err)
	}
	for _, group := range [][]evil{evilStarts(), evilKVs(), evilTensors()} {
		for _, e := range group {
			t.Run(e.name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "evil.gguf")
				if err := os.WriteFile(path, e.file, 0o644); err != nil {
					t.Fatal(err)
				}
				var err error
				memory := allocated(func() { _, err = Open(path) })
				if err == nil {
					t.Fatal("it was opened")
				}
				if !errors.Is(err, e.is) || !strings.Contains(err.Error(), e.want) {
					t.Errorf("error %q, want %v with %q", err, e.is, e.want)
				}
				if s := err.Error(); strings.ContainsAny(s, "\n\r") || len(s) > len(path)+400 || !strings.HasPrefix(s, path) {
					t.Errorf("no fit line: %q", s)
				}
				if most := uint64(1<<20 + 8*len(e.file)); memory > most {
					t.Errorf("%d bytes of memory for a file of %d", memory, len(e.file))
				}
			})
		}
	}
}

// A sparse file has any size at no cost, so the size of the file alone is no bound.
func TestSparseFileTakesNoMemory(t *testing.T) {
	for name, c := range map[string]struct {
		value gguftest.Raw
		want  string
	}{
		"string":           {raw(uint32(8), uint64(1)<<35), "string of 34359738368 bytes"},
		"array":            {raw(uint32(9), uint32(10), uint64(1)<<33), "larger than 512 MB"},
		"array of strings": {raw(uint32(9), uint32(8), uint64(1)<<33, uint64(1)<<35), "string of 34359738368 bytes"},
	} {
		path := filepath.Join(t.TempDir(), "sparse.gguf")
		file := gguftest.Build(gguftest.Model{KVs: gguftest.KVs("general.name", c.value)})
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 1<<37); err != nil {
			t.Fatal(err)
		}
		var err error
		memory := allocated(func() { _, err = Open(path) })
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) || memory > 1<<20 {
			t.Errorf("%s: %v, with %d bytes of memory", name, err, memory)
		}
	}
}

func TestNoRegularFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.gguf")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.gguf"): "no such file",
		dir:                             "directory",
		pipe:                            "not a regular file",
		filepath.Join(pipe, "x.gguf"):   "not a directory",
	} {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The guarded door turns a panic of the library into an error. These files reach it only here: Open refuses them before.
func TestParserPanicsEndAtTheDoor(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"alignment 0":    withKV("general.alignment", uint32(0)),
		"alignment text": withKV("general.alignment", "32"),
		"removed type":   withTensor(func(t *gguftest.Tensor) { t.Type = 4 }),
		"overflow":       withTensor(func(t *gguftest.Tensor) { t.Dims = []uint64{1 << 40, 1 << 40} }),
	} {
		path := filepath.Join(t.TempDir(), "evil.gguf")
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := parse(path); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the two readers disagree about, the file is refused.
func TestCrossCheckFindsEveryDifference(t *testing.T) {
	t.Parallel()
	path := gguftest.Write(t, t.TempDir(), "m.gguf", small())
	file := gguftest.Build(small())
	for name, change := range map[string]func(*header){
		"key":        func(h *header) { h.kvs[0].Key = "other" },
		"value type": func(h *header) { h.kvs[1].Raw[0] = 5 },
		"keys":       func(h *header) { h.kvs = h.kvs[:1] },
		"name":       func(h *header) { h.infos[0].name = "other" },
		"type":       func(h *header) { h.infos[0].typ = I32 },
		"dims":       func(h *header) { h.infos[1].dims[0]++ },
		"offset":     func(h *header) { h.infos[1].offset += 32 },
		"tensors":    func(h *header) { h.infos = h.infos[:1] },
		"data":       func(h *header) { h.dataStart += 32 },
	} {
		h, err := readHeader(strings.NewReader(string(file)), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if err := crossCheck(path, []*header{h}); err != nil {
			t.Fatal(err)
		}
		change(h)
		if err := crossCheck(path, []*header{h}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
