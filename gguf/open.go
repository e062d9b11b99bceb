package gguf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

// Open reads the headers of the model at path and checks them (package comment, "What is refused"). path is a single file
// or any shard of a split model, whose other shards lie beside it. Of the tensor data only the place is checked.
// Errors are one line and match one of the Err values; nothing stays open after one.
func Open(path string) (*File, error) {
	f := new(File)
	if err := f.open(path); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// open fills an empty File. After an error some of its files may be open.
func (f *File) open(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	h, err := f.add(abs)
	if err != nil {
		return err
	}
	headers := []*header{h}
	count, err := splitCount(h.kvs)
	if err != nil {
		return err
	}
	named := shardPaths(abs)
	if len(named) > 1 && count <= 1 {
		return malformed("it is named like a shard of %d but holds a whole model; rename it", len(named))
	}
	if count > 1 {
		if len(named) != count {
			if f.joined(h) {
				return malformed("shards were joined byte by byte in it, as by cat; join them with llama-gguf-split --merge, or give the shards as they were")
			}
			return malformed("it is a shard of %d but not named like one (NAME-00001-of-%05d.gguf); rename it", count, count)
		}
		if headers, err = f.addShards(named); err != nil {
			return err
		}
	}
	if err := checkSplit(headers); err != nil {
		return err
	}
	if err := f.merge(headers); err != nil {
		return err
	}
	return crossCheck(f.shards[0].path, headers)
}

// Shards returns the paths of all files of the model at path, in order: path alone, unless it is named as one of several and the first of
// them is there.
func Shards(path string) []string {
	if paths := shardPaths(path); len(paths) > 1 {
		if _, err := os.Stat(paths[0]); err == nil {
			return paths
		}
	}
	return []string{path}
}

// add opens one file and reads its header.
func (f *File) add(path string) (*header, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("no such file")
	case err != nil:
		return nil, outfile.Plain(err)
	case st.IsDir():
		return nil, fmt.Errorf("%w: it is a directory; give the .gguf file in it", ErrNotGGUF)
	case !st.Mode().IsRegular(): // opening a pipe would block
		return nil, fmt.Errorf("%w: it is not a regular file", ErrNotGGUF)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, outfile.Plain(err)
	}
	f.shards = append(f.shards, shard{file: file, path: path})
	if st, err = file.Stat(); err != nil {
		return nil, outfile.Plain(err)
	}
	sh := &f.shards[len(f.shards)-1]
	sh.size, sh.stat = st.Size(), st
	return readHeader(io.NewSectionReader(file, 0, sh.size), sh.size)
}

// joined reports whether another GGUF file follows the data of the first file, where h is its header.
func (f *File) joined(h *header) bool {
	end := uint64(h.dataStart)
	for i, ti := range h.infos {
		end = max(end, uint64(h.dataStart)+ti.offset+uint64(h.sizes[i]))
	}
	for _, at := range []uint64{end, pad(end, h.alignment)} {
		var magic [4]byte
		if _, err := f.shards[0].file.ReadAt(magic[:], int64(at)); err == nil && string(magic[:]) == "GGUF" {
			return true
		}
	}
	return false
}

// addShards opens all shards anew, in order.
func (f *File) addShards(paths []string) ([]*header, error) {
	f.Close()
	f.shards = nil
	var missing []string
	for _, p := range paths {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, filepath.Base(p))
		}
	}
	if len(missing) > 0 {
		more := ""
		if len(missing) > 1 {
			more = fmt.Sprintf(" and %d more", len(missing)-1)
		}
		return nil, fmt.Errorf("%w: %s%s of the model's %d files not found in %s; put all of them there",
			ErrMissingShard, missing[0], more, len(paths), filepath.Dir(paths[0]))
	}
	var headers []*header
	for _, p := range paths {
		h, err := f.add(p)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", filepath.Base(p), err)
		}
		headers = append(headers, h)
	}
	return headers, nil
}

// splitCount is the number of shards that the metadata tells of, 1 for a single file.
func splitCount(kvs []KV) (int, error) {
	n, ok, err := uintOf(kvs, keySplitCount)
	switch {
	case err != nil:
		return 0, err
	case !ok || n == 0: // llama.cpp reads 0 as not split, too
		return 1, nil
	case n > 99999:
		return 0, malformed("%s is %d; file names count to 99999", keySplitCount, n)
	}
	return int(n), nil
}

// checkSplit checks that the shards are those of one model, in order, and complete.
func checkSplit(headers []*header) error {
	var tensors uint64
	for i, h := range headers {
		tensors += uint64(len(h.infos))
		if len(headers) == 1 {
			break
		}
		count, err := splitCount(h.kvs)
		if err != nil {
			return err
		}
		if count != len(headers) {
			return malformed("shard %d says that the model has %d shards, the others say %d", i+1, count, len(headers))
		}
		no, ok, err := uintOf(h.kvs, keySplitNo)
		if err != nil {
			return err
		}
		if !ok || no != uint64(i) {
			return malformed("the file named as shard %d is another one (its %s is %d, not %d); restore the names", i+1, keySplitNo, no, i)
		}
	}
	want, ok, err := uintOf(headers[0].kvs, keySplitTensors)
	if err != nil {
		return err
	}
	if ok && want != tensors {
		return malformed("it has %d tensors, and %s says %d", tensors, keySplitTensors, want)
	}
	return nil
}

// merge makes one model of the shards.
func (f *File) merge(headers []*header) error {
	for _, kv := range headers[0].kvs {
		if !strings.HasPrefix(kv.Key, "split.") {
			f.kvs = append(f.kvs, kv)
		}
	}
	f.version = headers[0].version
	f.alignment = headers[0].alignment
	f.kvIndex = make(map[string]int, len(f.kvs))
	for i, kv := range f.kvs {
		f.kvIndex[kv.Key] = i
	}
	f.tensorIndex = make(map[string]int)
	for s, h := range headers {
		for i, ti := range h.infos {
			if _, twice := f.tensorIndex[ti.name]; twice {
				return malformed("tensor %s occurs in two shards", quote(ti.name))
			}
			f.tensorIndex[ti.name] = len(f.tensors)
			f.tensors = append(f.tensors, Tensor{
				Name: ti.name, Type: ti.typ, Dims: ti.dims, Size: h.sizes[i],
				shard: s, offset: h.dataStart + int64(ti.offset),
			})
			f.params += h.elements[i]
		}
	}
	f.tensors = slices.Clip(f.tensors)
	return f.checkKeys()
}

// checkKeys checks the few keys that every reader of the file relies on, and those that gguf-parser-go reads blindly.
func (f *File) checkKeys() error {
	arch, _, err := f.Str(keyArch)
	if err != nil {
		return err
	}
	f.arch = arch
	if n, ok, err := f.Uint(arch + ".block_count"); err != nil {
		return err
	} else if ok && n > maxLayers {
		return malformed("%s.block_count is %d; llama.cpp allows %d layers", arch, n, llamaMaxLayers)
	}
	return nil
}

const (
	llamaMaxLayers = 512     // LLAMA_MAX_LAYERS of llama.cpp v0.5.0
	maxLayers      = 1 << 16 // what is read here: more, so that a later llama.cpp may have the say
)
