package gguf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// File is an open model: a GGUF file, or all shards of a split one seen as one file. Its methods may be called at the same
// time from several goroutines, except Close.
type File struct {
	shards      []shard
	version     uint32
	alignment   uint64
	arch        string
	kvs         []KV
	kvIndex     map[string]int
	tensors     []Tensor
	tensorIndex map[string]int
	params      uint64
}

// shard is one file of a model.
type shard struct {
	file *os.File
	path string // absolute
	size int64
	stat os.FileInfo
}

// Tensor describes one tensor of a File.
type Tensor struct {
	Name string
	Type Type
	Dims []uint64 // in ggml's order: Dims[0] is the length of a row
	Size int64    // in bytes

	shard  int
	offset int64 // in the shard's file
}

// Elements is the number of weights.
func (t Tensor) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// Rows is the number of rows of Dims[0] elements, all other dimensions taken together.
func (t Tensor) Rows() int64 { return int64(t.Elements() / t.Dims[0]) }

// Close closes the files. Data and Copy of the File fail afterwards. A second Close does nothing.
func (f *File) Close() error {
	var errs []error
	for i := range f.shards {
		if f.shards[i].file != nil {
			errs = append(errs, f.shards[i].file.Close())
			f.shards[i].file = nil
		}
	}
	return errors.Join(errs...)
}

// Paths are the absolute paths of the model's files, in the order of the shards.
func (f *File) Paths() []string {
	var paths []string
	for _, s := range f.shards {
		paths = append(paths, s.path)
	}
	return paths
}

// Bytes is the size of the model's files together.
func (f *File) Bytes() int64 {
	var n int64
	for _, s := range f.shards {
		n += s.size
	}
	return n
}

// Version is the version of the format, 2 or 3.
func (f *File) Version() uint32 { return f.version }

// Alignment is the alignment of the tensor data, of the first shard where there are several.
func (f *File) Alignment() uint32 { return uint32(f.alignment) }

// Arch is general.architecture, "" where the file has none.
func (f *File) Arch() string { return f.arch }

// KVs returns the metadata in the order of the file, without the keys split.* that hold a split model together.
func (f *File) KVs() []KV { return slices.Clone(f.kvs) }

// KV returns the metadata under key.
func (f *File) KV(key string) (KV, bool) {
	i, ok := f.kvIndex[key]
	if !ok {
		return KV{}, false
	}
	return f.kvs[i], true
}

// Tensors returns the tensors in the order of the file.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.tensorIndex[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Params is the number of elements of all tensors. It is what llama.cpp counts as a model's parameters, and the one count that this program
// prints of a file: what a layout adds, such as a stub, is in it, and a tensor of zeros counts as any other.
func (f *File) Params() uint64 { return f.params }

// Data reads the tensor's bytes. t is a tensor of f.
func (f *File) Data(t Tensor) *io.SectionReader {
	return io.NewSectionReader(f.shards[t.shard].file, t.offset, t.Size)
}

// SHA256 is the hash of the file's bytes in hexadecimal, of the shards' bytes one after the other for a split model.
func (f *File) SHA256(ctx context.Context) (string, error) {
	h := sha256.New()
	for _, s := range f.shards {
		if err := copyInto(ctx, h, io.NewSectionReader(s.file, 0, s.size)); err != nil {
			return "", fmt.Errorf("hash %s: %w", s.path, outfile.Plain(err))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyInto copies r into h until r ends or ctx is cancelled.
func copyInto(ctx context.Context, h io.Writer, r io.Reader) error {
	buf := make([]byte, bufferSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if _, werr := h.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// SameFile reports whether path is one of f's files, also through a symbolic or a hard link.
func SameFile(path string, f *File) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.shards, func(s shard) bool { return os.SameFile(st, s.stat) })
}
