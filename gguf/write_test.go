package gguf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

// anyModel generates a sound model: any metadata, tensors of a few types and shapes.
func anyModel() *rapid.Generator[gguftest.Model] {
	return rapid.Custom(func(t *rapid.T) gguftest.Model {
		var m gguftest.Model
		keys := rapid.SliceOfNDistinct(anyString(), 0, 6, rapid.ID).Draw(t, "keys")
		for _, k := range keys { // gguf-parser-go counts at least 20 bytes for each key
			m.KVs = append(m.KVs, gguftest.KV{Key: "test.long.enough" + k, Value: anyValue().Draw(t, "value")})
		}
		m.Alignment = rapid.SampledFrom([]uint32{32, 8, 256}).Draw(t, "alignment")
		if m.Alignment != 32 {
			m.KVs = append(m.KVs, gguftest.KV{Key: keyAlignment, Value: m.Alignment})
		}
		for i := range rapid.IntRange(1, 5).Draw(t, "tensors") {
			typ := rapid.SampledFrom([]Type{F32, F16, Q8_0, Q2_K, I8, NVFP4}).Draw(t, "type")
			dims := rapid.SliceOfN(rapid.Uint64Range(1, 3), 1, 4).Draw(t, "dims")
			dims[0] *= typ.BlockSize()
			_, size, err := tensorSize(typ, dims)
			if err != nil {
				t.Fatal(err)
			}
			data := bytes.Repeat([]byte{rapid.Byte().Draw(t, "data"), byte(i)}, int(size+1)/2)[:size]
			m.Tensors = append(m.Tensors, gguftest.Tensor{Name: fmt.Sprintf("blk.%d.weight", i), Type: uint32(typ), Dims: dims, Data: data})
		}
		return m
	})
}

// What is read and written again is the same bytes: nothing of the file is lost on the way.
func TestCopyIsByteIdentical(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		m := anyModel().Draw(rt, "model")
		m.Version = rapid.SampledFrom([]uint32{2, 3}).Draw(rt, "version")
		f, err := Open(gguftest.Write(t, dir, "m.gguf", m))
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		m.Version = 3
		p := planOf(f)
		want := gguftest.Build(m)
		if got := planBytes(rt, p); !bytes.Equal(got, want) {
			rt.Fatalf("the copy differs\n got %x\nwant %x", got, want)
		}
		if p.Size() != int64(len(want)) {
			rt.Fatalf("size %d, want %d", p.Size(), len(want))
		}
	})
}

// A row of a quantised tensor moves whole, in runs of any length, also where they exceed the buffer.
func TestRowsEqualsRowByRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		typ := rapid.SampledFrom([]Type{Q8_0, F16, Q4_K}).Draw(rt, "type")
		long := 300_000 / typ.TypeSize() // blocks of a row that exceeds the buffer
		dims := []uint64{typ.BlockSize() * rapid.SampledFrom([]uint64{1, 2, 7, long}).Draw(rt, "blocks"), 3, 2}
		_, size, _ := tensorSize(typ, dims)
		data := make([]byte, size)
		row := typ.RowBytes(dims[0])
		for i := range data {
			data[i] = byte(int64(i)/row*16 + int64(i)%7)
		}
		f, err := Open(gguftest.Write(t, dir, "m.gguf", gguftest.Model{Tensors: []gguftest.Tensor{{Name: "rows.weight", Type: uint32(typ), Dims: dims, Data: data}}}))
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		tensor := f.Tensors()[0]
		perm := rapid.SliceOfN(rapid.Int64Range(0, tensor.Rows()-1), 1, 12).Draw(rt, "perm")
		var want []byte
		for _, r := range perm {
			want = append(want, data[r*row:(r+1)*row]...)
		}
		p := &Plan{Tensors: []PlanTensor{{Name: "rows.weight", Type: typ, Dims: []uint64{dims[0], uint64(len(perm))}, Data: Rows(f, tensor, perm)}}}
		got := planBytes(rt, p)[pad(p.headerSize(), 32):]
		if !bytes.Equal(got[:len(want)], want) {
			rt.Fatalf("rows %v are not what they should be", perm)
		}
	})
}

// A tensor of many buffers, on the real file system.
func TestLargeTensor(t *testing.T) {
	t.Parallel()
	m := gguftest.Llama(2, 5)
	big := make([]byte, 9<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	m.Tensors = append(m.Tensors, gguftest.Tensor{Name: "big.weight", Type: uint32(I8), Dims: []uint64{9 << 20}, Data: big})
	p, err := WriteTemp(t.Context(), filepath.Join(t.TempDir(), "out.gguf"), planOf(openModel(t, m)), WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(p.Path()); err != nil || !bytes.Equal(got, gguftest.Build(m)) {
		t.Errorf("the file differs, %v", err)
	}
}

func TestWriteInTwoSteps(t *testing.T) {
	t.Parallel()
	f := openModel(t, gguftest.Llama(1, 6))
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("long", 62)+".gguf") // 253 bytes
	var last int64
	p, err := WriteTemp(t.Context(), path, planOf(f), WriteOptions{Progress: func(done, total int64) {
		if done <= last || total != f.Bytes() {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last != f.Bytes() {
		t.Errorf("progress ended at %d of %d", last, f.Bytes())
	}
	if got := names(t, dir); len(got) != 1 || filepath.Join(dir, got[0]) != p.Path() || !strings.HasSuffix(got[0], ".gguf") {
		t.Errorf("folder has %v", got)
	}
	check, err := Open(p.Path()) // as the caller's check will do
	if err != nil {
		t.Fatal(err)
	}
	check.Close()
	w, err := p.Commit()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	sum := sha256.Sum256(file)
	if err != nil || w != (Written{path, int64(len(file)), hex.EncodeToString(sum[:])}) {
		t.Errorf("%+v, %v", w, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{filepath.Base(path)}) {
		t.Errorf("folder has %v", got)
	}
	if _, err := p.Commit(); err == nil {
		t.Error("a second Commit went well")
	}
	if err := p.Discard(); err != nil || len(names(t, dir)) != 1 {
		t.Errorf("Discard after Commit: %v, %v", err, names(t, dir))
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := WriteTemp(t.Context(), filepath.Join(dir, "out.gguf"), &Plan{}, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Discard(); err != nil || len(names(t, dir)) != 0 {
			t.Errorf("%v, %v", err, names(t, dir))
		}
	}
	if _, err := p.Commit(); err == nil {
		t.Error("a discarded file was committed")
	}
}

// Two runs with the same output: the second one to finish replaces nothing.
func TestCommitReplacesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.gguf")
	write := func(name string, o WriteOptions) *Pending {
		kv, err := NewKV("general.name", name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := WriteTemp(t.Context(), path, &Plan{KVs: []KV{kv}}, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second, forced := write("first", WriteOptions{}), write("second", WriteOptions{}), write("forced", WriteOptions{Force: true})
	if _, err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Commit(); !errors.Is(err, ErrExists) {
		t.Errorf("second: %v", err)
	}
	if b, _ := os.ReadFile(path); !bytes.Contains(b, []byte("first")) {
		t.Error("the first file was replaced")
	}
	if err := second.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := WriteTemp(t.Context(), path, &Plan{}, WriteOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("existing output: %v", err)
	}
	if _, err := forced.Commit(); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); !bytes.Contains(b, []byte("forced")) {
		t.Error("the file was not replaced")
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("folder has %v", got)
	}
}

func TestOutputsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input := gguftest.Write(t, dir, "in.gguf", gguftest.Llama(1, 7))
	hard, soft := filepath.Join(dir, "hard.gguf"), filepath.Join(dir, "soft.gguf")
	if err := errors.Join(os.Link(input, hard), os.Symlink(input, soft), os.Symlink("nowhere", filepath.Join(dir, "dangling.gguf"))); err != nil {
		t.Fatal(err)
	}
	f, err := Open(input)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := names(t, dir)
	for _, c := range []struct {
		path  string
		force bool
		is    error
		want  string
	}{
		{input, true, ErrIsInput, "choose another name"},
		{hard, true, ErrIsInput, "choose another name"},
		{soft, true, ErrIsInput, "choose another name"},
		{filepath.Join(dir, "dangling.gguf"), false, ErrExists, "force"},
		{dir, true, ErrReadOnly, "directory"},
		{"/dev/null", true, ErrReadOnly, "not a regular file"},
		{filepath.Join(dir, "none", "out.gguf"), false, ErrReadOnly, "create it first"},
		{filepath.Join(input, "out.gguf"), false, ErrReadOnly, "not a directory"},
		{filepath.Join(dir, "out-00001-of-00002.gguf"), false, ErrReadOnly, "named like a shard"},
	} {
		_, err := WriteTemp(t.Context(), c.path, planOf(f), WriteOptions{Force: c.force})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v with %q", c.path, err, c.is, c.want)
		}
	}
	if after := names(t, dir); !slices.Equal(before, after) {
		t.Errorf("left behind: %v, before: %v", after, before)
	}
}

func TestPlansRefused(t *testing.T) {
	t.Parallel()
	f := openModel(t, gguftest.Llama(1, 8))
	good := f.Tensors()[0]
	kv := func(key string, v any) KV { return KV{key, gguftest.Value(v)} }
	tensor := func(name string, typ Type, d Data, dims ...uint64) PlanTensor { return PlanTensor{name, typ, dims, d} }
	for want, p := range map[string]Plan{
		"a metadata key has 0 bytes":   {KVs: []KV{kv("", true)}},
		"occurs twice":                 {KVs: []KV{kv("a", true), kv("a", true)}},
		"belongs to split models":      {KVs: []KV{kv("split.count", uint16(2))}},
		"2 bytes follow the value":     {KVs: []KV{{"a", append(gguftest.Value(true), 0, 0)}}},
		"truncated":                    {KVs: []KV{{"a", gguftest.Value("text")[:13]}}},
		"the metadata says 32":         {Alignment: 64},
		"power of two":                 {KVs: []KV{kv(keyAlignment, uint32(3))}},
		"a name of 0 bytes":            {Tensors: []PlanTensor{tensor("", F32, Zeros(4), 1)}},
		"a name of 64 bytes":           {Tensors: []PlanTensor{tensor(strings.Repeat("n", 64), F32, Zeros(4), 1)}},
		`tensor "a" occurs twice`:      {Tensors: []PlanTensor{tensor("a", F32, Zeros(4), 1), tensor("a", F32, Zeros(4), 1)}},
		"no data":                      {Tensors: []PlanTensor{tensor("a", F32, nil, 1)}},
		"length 0":                     {Tensors: []PlanTensor{tensor("a", F32, Zeros(0), 0)}},
		"no multiple of the block":     {Tensors: []PlanTensor{tensor("a", Q8_0, Zeros(34), 31)}},
		"given 5 bytes":                {Tensors: []PlanTensor{tensor("a", F32, Bytes(make([]byte, 5)), 1)}},
		"-1 zero bytes":                {Tensors: []PlanTensor{tensor("a", F32, Zeros(-1), 1)}},
		"given 2048 bytes":             {Tensors: []PlanTensor{tensor("a", F32, Copy(f, good), 1)}},
		"row 8 of tensor":              {Tensors: []PlanTensor{tensor("a", F32, Rows(f, good, []int64{0, 8}), 64, 2)}},
		"row -1 of tensor":             {Tensors: []PlanTensor{tensor("a", F32, Rows(f, good, []int64{-1}), 64)}},
		"F32[64 3] takes 768":          {Tensors: []PlanTensor{tensor("a", F32, Rows(f, good, []int64{1, 2}), 64, 3)}},
		"tensor type 4, which llama.c": {Tensors: []PlanTensor{tensor("a", 4, Zeros(4), 1)}},
	} {
		dir := t.TempDir()
		_, err := WriteTemp(t.Context(), filepath.Join(dir, "out.gguf"), &p, WriteOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || len(names(t, dir)) != 0 {
			t.Errorf("%v, want %q; folder has %v", err, want, names(t, dir))
		}
	}
}

func TestZerosAndBytes(t *testing.T) {
	t.Parallel()
	kv, _ := NewKV(keyAlignment, uint32(64))
	p := &Plan{KVs: []KV{kv}, Tensors: []PlanTensor{
		{"zero.weight", F32, []uint64{600 << 10}, Zeros(2400 << 10)},
		{"bytes.weight", I8, []uint64{3}, Bytes([]byte{1, 2, 3})},
		{"made.weight", I8, []uint64{3}, Made(3, func() ([]byte, error) { return []byte{1, 2, 3}, nil })},
	}}
	f, err := openBytes(t, planBytes(t, p))
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range f.Tensors() {
		data, err := io.ReadAll(f.Data(tensor))
		if err != nil || tensor.Type == I8 && !bytes.Equal(data, []byte{1, 2, 3}) || tensor.Type == F32 && len(bytes.Trim(data, "\x00")) > 0 {
			t.Errorf("%s: %d bytes, %v", tensor.Name, len(data), err)
		}
	}
	if f.Bytes() != p.Size() || f.Alignment() != 64 {
		t.Errorf("%d bytes, planned %d", f.Bytes(), p.Size())
	}
}

func TestMadeOfAnotherSize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.gguf")
	for _, c := range []struct {
		made []byte
		err  error
		want string
	}{{[]byte{1, 2}, nil, "2 bytes were made of a tensor that takes 3"}, {nil, errors.New("no such weights"), "no such weights"}} {
		p := &Plan{Tensors: []PlanTensor{{"made.weight", I8, []uint64{3}, Made(3, func() ([]byte, error) { return c.made, c.err })}}}
		_, err := WriteTemp(t.Context(), path, p, WriteOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(names(t, filepath.Dir(path))) != 0 {
			t.Errorf("%v, want %q; folder has %v", err, c.want, names(t, filepath.Dir(path)))
		}
	}
}
