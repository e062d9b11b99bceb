package gguf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf/gguftest"
)

func TestOpenReadsEverything(t *testing.T) {
	t.Parallel()
	for _, version := range []uint32{2, 3} {
		m := gguftest.Llama(2, 1)
		m.Version = version
		f := openModel(t, m)
		if f.Version() != version || f.Arch() != "llama" || f.Alignment() != 32 || len(f.KVs()) != len(m.KVs) {
			t.Errorf("version %d: %d, %q, %d, %d keys", version, f.Version(), f.Arch(), f.Alignment(), len(f.KVs()))
		}
		var params uint64
		for i, want := range m.Tensors {
			got := f.Tensors()[i]
			if got.Name != want.Name || uint32(got.Type) != want.Type || !slices.Equal(got.Dims, want.Dims) || got.Size != int64(len(want.Data)) {
				t.Fatalf("tensor %d: %+v", i, got)
			}
			data, err := io.ReadAll(f.Data(got))
			if err != nil || !bytes.Equal(data, want.Data) {
				t.Fatalf("tensor %s: wrong data, %v", got.Name, err)
			}
			params += got.Elements()
		}
		if f.Params() != params {
			t.Errorf("%d parameters, want %d", f.Params(), params)
		}
	}
}

// gguf-parser-go trims strings; what is read here is not.
func TestStringsKeepWhiteSpace(t *testing.T) {
	t.Parallel()
	tokens := []string{" ", "\n", " a", "b ", "", "\u00a0", "\xff"}
	f := openModel(t, gguftest.Model{KVs: gguftest.KVs(
		" general.padded ", uint8(1), "tokenizer.ggml.tokens", tokens, "general.name", "  x\n",
	), Tensors: []gguftest.Tensor{{Name: " blk.0.odd\t", Dims: []uint64{1}, Data: make([]byte, 4)}}})
	kv, ok := f.KV("tokenizer.ggml.tokens")
	if !ok || !bytes.Equal(kv.Raw, gguftest.Value(tokens)) {
		t.Errorf("tokens: %x", kv.Raw)
	}
	if s, _, err := f.Str("general.name"); s != "  x\n" || err != nil {
		t.Errorf("name %q, %v", s, err)
	}
	if _, ok := f.KV(" general.padded "); !ok {
		t.Error("the key lost its white space")
	}
	if _, ok := f.Tensor(" blk.0.odd\t"); !ok {
		t.Error("the tensor's name lost its white space")
	}
}

func TestAlignmentMovesTheData(t *testing.T) {
	t.Parallel()
	m := gguftest.Llama(1, 2)
	m.Alignment = 4096
	m.KVs = append(m.KVs, gguftest.KV{Key: "general.alignment", Value: uint32(4096)})
	f := openModel(t, m)
	last := m.Tensors[len(m.Tensors)-1]
	tensor, _ := f.Tensor(last.Name)
	data, err := io.ReadAll(f.Data(tensor))
	if err != nil || !bytes.Equal(data, last.Data) || f.Alignment() != 4096 {
		t.Errorf("wrong data at alignment %d, %v", f.Alignment(), err)
	}
}

// A file whose last tensor is not padded is sound: old writers left the padding out.
func TestMissingLastPadding(t *testing.T) {
	t.Parallel()
	m := gguftest.Model{
		KVs:     gguftest.KVs("general.architecture", "llama"),
		Tensors: []gguftest.Tensor{{Name: "a", Dims: []uint64{3}, Data: make([]byte, 12)}},
	}
	b := gguftest.Build(m)
	if _, err := openBytes(t, b[:len(b)-20]); err != nil {
		t.Error(err)
	}
	_, err := openBytes(t, b[:len(b)-21])
	if !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), "need 1 bytes more") {
		t.Error(err)
	}
}

func TestSHA256AndSameFile(t *testing.T) {
	t.Parallel()
	m := gguftest.Llama(1, 3)
	dir := t.TempDir()
	path := gguftest.Write(t, dir, "m.gguf", m)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := sha256.Sum256(gguftest.Build(m))
	if got, err := f.SHA256(t.Context()); got != hex.EncodeToString(want[:]) || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.SHA256(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	hard, soft, other := filepath.Join(dir, "hard"), filepath.Join(dir, "soft"), filepath.Join(dir, "other")
	for _, err := range []error{os.Link(path, hard), os.Symlink("m.gguf", soft), os.WriteFile(other, nil, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[string]bool{path: true, hard: true, soft: true, other: false, filepath.Join(dir, "none"): false} {
		if got := SameFile(p, f); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
}

func TestClosedFileFailsPolitely(t *testing.T) {
	t.Parallel()
	f := openModel(t, gguftest.Llama(1, 4))
	p := planOf(f)
	p.Tensors[1].Data = Rows(f, f.Tensors()[1], []int64{0})
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.SHA256(t.Context()); err == nil {
		t.Error("a closed file was hashed")
	}
	if _, err := io.ReadAll(f.Data(f.Tensors()[0])); err == nil {
		t.Error("a closed file was read")
	}
	dir := t.TempDir()
	if _, err := WriteTemp(t.Context(), filepath.Join(dir, "out.gguf"), p, WriteOptions{}); err == nil || len(names(t, dir)) != 0 {
		t.Errorf("a closed file was copied: %v, %v", err, names(t, dir))
	}
}

// The committed model is one that llama.cpp wrote: what is read of it and written again is the same file.
func TestRealModelRoundTrip(t *testing.T) {
	t.Parallel()
	f, err := Open("../testdata/tiny-11m-Q8_0.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, ok, err := f.Uint("llama.block_count"); n != 12 || !ok || err != nil || f.Params() != 11540736 {
		t.Errorf("%d blocks, %d parameters, %v", n, f.Params(), err)
	}
	want, err := f.SHA256(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := WriteTemp(t.Context(), filepath.Join(t.TempDir(), "out.gguf"), planOf(f), WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Commit()
	if err != nil || w.SHA256 != want || w.Bytes != f.Bytes() {
		t.Errorf("wrote %+v, want %s; %v", w, want, err)
	}
}
