package gguf

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// FuzzOpen opens any bytes as a file. Either they are refused with one line, or everything in them can be read, and written
// again to a file that holds the same. The seeds are small, since the fuzzer spends its time on making large ones smaller.
func FuzzOpen(f *testing.F) {
	f.Add(gguftest.Build(small()))
	f.Add(withKV("tokenizer.ggml.tokens", []string{" ", "a", "\n"}))
	f.Add(withKV("general.alignment", uint32(64)))
	f.Add(withKV("llama.attention.head_count", []int32{2, 0, 2}))
	for _, group := range [][]evil{evilStarts(), evilKVs(), evilTensors()} {
		for _, e := range group {
			if len(e.file) < 1024 {
				f.Add(e.file)
			}
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "fuzz.gguf")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		var file *File
		var err error
		fuzztest.Bounded(t, len(b), func() { file, err = Open(path) })
		if err != nil {
			if s := err.Error(); strings.ContainsAny(s, "\r\n") || len(s) > len(path)+500 {
				t.Errorf("no fit line: %q", s)
			}
			return
		}
		defer file.Close()
		readAll(t, file)
		again, err := openBytes(t, planBytes(t, planOf(file)))
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		sameContent(t, file, again)
	})
}

// readAll calls every accessor on every key, and reads every tensor.
func readAll(t *testing.T, f *File) {
	for _, kv := range f.KVs() {
		f.Uint(kv.Key)
		f.Float(kv.Key)
		f.Str(kv.Key)
		f.Bool(kv.Key)
		f.Uints(kv.Key)
		if _, err := kv.Value(); err != nil {
			t.Errorf("key %q: %v", kv.Key, err)
		}
	}
	for _, tensor := range f.Tensors() {
		if n, err := io.Copy(io.Discard, f.Data(tensor)); err != nil || n != tensor.Size {
			t.Errorf("tensor %q: %d bytes of %d, %v", tensor.Name, n, tensor.Size, err)
		}
	}
}

func sameContent(t *testing.T, a, b *File) {
	if len(a.KVs()) != len(b.KVs()) || len(a.Tensors()) != len(b.Tensors()) || a.Params() != b.Params() {
		t.Fatal("the number of things differs")
	}
	for i, kv := range a.KVs() {
		if kv.Key != b.KVs()[i].Key || !bytes.Equal(kv.Raw, b.KVs()[i].Raw) {
			t.Errorf("key %q differs", kv.Key)
		}
	}
	for i, tensor := range a.Tensors() {
		x, errX := io.ReadAll(a.Data(tensor))
		y, errY := io.ReadAll(b.Data(b.Tensors()[i]))
		if errX != nil || errY != nil || !bytes.Equal(x, y) || tensor.Name != b.Tensors()[i].Name {
			t.Errorf("tensor %q differs", tensor.Name)
		}
	}
}
