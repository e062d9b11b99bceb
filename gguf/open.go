package gguf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	named := splitName(abs)
	if named.count > 1 && count <= 1 {
		return malformed("it is named like a shard of %d but holds a whole model; rename it", named.count)
	}
	if count > 1 {
		if named.count != count {
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

// Shards returns the paths of the files of the model at path, in order, up to the first that is not there: path alone, unless it is named
// as one of several and the first of them is there.
func Shards(path string) (paths []string) {
	named := splitName(path)
	for i := range named.count {
		paths = append(paths, named.path(i))
		if _, err := os.Stat(paths[i]); err != nil {
			break
		}
	}
	if len(paths) > 1 {
		return paths
	}
	return []string{path}
}

// split is what the name of a shard tells: PREFIX-00001-of-00003.gguf is one of 3. A name is short and may tell of 99999, so that paths are
// made one at a time.
type split struct {
	prefix string
	no     int // of the file itself, counted from 1
	count  int // 0 where the file is not named as a shard
}

// shardName is gguf-parser-go's rule, which takes every file that is named so for a shard.
var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// splitName reads the name of the file at path.
func splitName(path string) split {
	m := shardName.FindStringSubmatch(path)
	if m == nil || m[2] == "00000" {
		return split{}
	}
	no, _ := strconv.Atoi(m[2]) // five digits
	count, _ := strconv.Atoi(m[3])
	return split{m[1], no, count}
}

// path is that of shard i, counted from 0.
func (s split) path(i int) string { return fmt.Sprintf("%s-%05d-of-%05d.gguf", s.prefix, i+1, s.count) }

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

// missing counts the shards that are not there.
func (s split) missing() int {
	n := s.count
	dir, prefix := filepath.Split(s.prefix)
	entries, _ := os.ReadDir(dir) // a folder that cannot be read has none
	for _, e := range entries {
		if name := splitName(e.Name()); name.prefix == prefix && name.count == s.count && name.no <= s.count {
			n--
		}
	}
	return n
}

// addShards opens all shards anew, in order.
func (f *File) addShards(named split) ([]*header, error) {
	f.Close()
	f.shards = nil
	for i := range named.count {
		if _, err := os.Stat(named.path(i)); errors.Is(err, fs.ErrNotExist) {
			more := ""
			if n := named.missing(); n > 1 {
				more = fmt.Sprintf(" and %d more", n-1)
			}
			return nil, fmt.Errorf("%w: %s%s of the model's %d files not found in %s; put all of them there",
				ErrMissingShard, filepath.Base(named.path(i)), more, named.count, filepath.Dir(named.path(i)))
		}
	}
	var headers []*header
	for i := range named.count {
		h, err := f.add(named.path(i))
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", filepath.Base(named.path(i)), err)
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
