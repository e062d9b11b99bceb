package gguf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// defaultAlignment is the alignment of a file without the key general.alignment.
const defaultAlignment = 32

// Keys with a meaning for the file format itself.
const (
	keyAlignment    = "general.alignment"
	keyArch         = "general.architecture"
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)

// header is everything before the tensor data of one file.
type header struct {
	version   uint32
	kvs       []KV
	infos     []tensorInfo
	sizes     []int64 // bytes of each tensor
	elements  []uint64
	alignment uint64
	dataStart int64 // position of the data section in the file
}

// readHeader reads and checks the header of a file of size bytes, and that its tensors lie in the file and apart.
func readHeader(r io.Reader, size int64) (*header, error) {
	s := newScanner(r, size)
	h := new(header)
	var err error
	if h.version, err = s.magic(); err != nil {
		return nil, err
	}
	nTensors, err := s.count("tensors", minTensorInfo)
	if err != nil {
		return nil, err
	}
	nKVs, err := s.count("metadata keys", minKV)
	if err != nil {
		return nil, err
	}
	if err := h.readKVs(s, nKVs); err != nil {
		return nil, err
	}
	if h.alignment, err = alignmentOf(h.kvs); err != nil {
		return nil, err
	}
	if err := h.readInfos(s, nTensors); err != nil {
		return nil, err
	}
	h.dataStart = int64(pad(uint64(s.pos), h.alignment))
	return h, h.checkData(size)
}

// magic reads the first eight bytes and returns the version.
func (s *scanner) magic() (uint32, error) {
	if s.size == 0 {
		return 0, fmt.Errorf("%w: it is empty", ErrNotGGUF)
	}
	start, err := s.r.Peek(int(min(s.size, 64)))
	if err != nil {
		return 0, err
	}
	if bytes.HasPrefix(start, []byte("FUGG")) {
		return 0, fmt.Errorf("%w; convert it to little-endian with gguf_convert_endian.py of llama.cpp", ErrBigEndian)
	}
	if !bytes.HasPrefix(start, []byte("GGUF")) {
		return 0, fmt.Errorf("%w: it %s", ErrNotGGUF, describeForeign(start))
	}
	if _, err := s.take(4); err != nil {
		return 0, err
	}
	v, err := s.u32()
	switch {
	case err != nil:
		return 0, err
	case v == 2 || v == 3:
		return v, nil
	case v == bits.ReverseBytes32(2) || v == bits.ReverseBytes32(3):
		return 0, fmt.Errorf("%w; convert it to little-endian with gguf_convert_endian.py of llama.cpp", ErrBigEndian)
	default:
		return 0, fmt.Errorf("%w %d; versions 2 and 3 are read, convert the model again with a current llama.cpp", ErrVersion, v)
	}
}

// describeForeign says what a file is that does not start with GGUF, as far as its first bytes tell.
func describeForeign(start []byte) string {
	for _, f := range []struct{ prefix, is string }{
		{"version https://git-lfs", "is a Git LFS pointer; fetch the file itself with git lfs pull"},
		{"lmgg", "is a GGML file of before August 2023; convert the model again"},
		{"fmgg", "is a GGML file of before August 2023; convert the model again"},
		{"tjgg", "is a GGML file of before August 2023; convert the model again"},
		{"PK\x03\x04", "is a zip archive or PyTorch checkpoint; convert it with convert_hf_to_gguf.py of llama.cpp"},
		{"<", "looks like a web page; download the model again"},
	} {
		if bytes.HasPrefix(start, []byte(f.prefix)) {
			return f.is
		}
	}
	if len(start) > 9 && start[8] == '{' {
		return "looks like safetensors; convert it with convert_hf_to_gguf.py of llama.cpp"
	}
	return fmt.Sprintf("starts with %q", start[:min(len(start), 4)])
}

// readKVs reads n metadata keys with their values.
func (h *header) readKVs(s *scanner, n uint64) error {
	seen := make(map[string]bool)
	for ; n > 0; n-- {
		s.reset()
		k, err := s.str(maxKey)
		if err != nil {
			return fmt.Errorf("metadata key %d: %w", len(h.kvs), err)
		}
		key := string(k)
		if key == "" {
			return malformed("metadata key %d is empty", len(h.kvs))
		}
		if seen[key] {
			return malformed("metadata key %s occurs twice", quote(key))
		}
		seen[key] = true
		s.reset()
		if _, err := s.value(); err != nil {
			return fmt.Errorf("metadata key %s: %w", quote(key), err)
		}
		h.kvs = append(h.kvs, KV{Key: key, Raw: slices.Clone(s.buf)})
	}
	return nil
}

// readInfos reads the descriptions of n tensors and checks each by itself.
func (h *header) readInfos(s *scanner, n uint64) error {
	seen := make(map[string]bool)
	for ; n > 0; n-- {
		ti, err := s.tensorInfo()
		if err != nil {
			return fmt.Errorf("tensor %d: %w", len(h.infos), err)
		}
		if seen[ti.name] {
			return malformed("tensor %s occurs twice", quote(ti.name))
		}
		seen[ti.name] = true
		elements, size, err := tensorSize(ti.typ, ti.dims)
		if err != nil {
			return malformed("tensor %s %v", quote(ti.name), err)
		}
		if ti.offset%h.alignment != 0 {
			return malformed("tensor %s starts at offset %d, no multiple of the alignment %d", quote(ti.name), ti.offset, h.alignment)
		}
		h.infos = append(h.infos, ti)
		h.sizes = append(h.sizes, size)
		h.elements = append(h.elements, elements)
	}
	return nil
}

// checkData checks that the tensors' data lies within the file, and that no two share a byte.
func (h *header) checkData(size int64) error {
	order := make([]int, len(h.infos))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(h.infos[a].offset, h.infos[b].offset) })
	var end, missing uint64
	for k, i := range order {
		ti := h.infos[i]
		if k > 0 && ti.offset < end {
			return malformed("tensors %s and %s overlap", quote(h.infos[order[k-1]].name), quote(ti.name))
		}
		if ti.offset > 1<<62 || uint64(h.sizes[i]) > 1<<62 {
			return malformed("tensor %s starts at offset %d, beyond any file", quote(ti.name), ti.offset)
		}
		end = ti.offset + uint64(h.sizes[i])
		if need := uint64(h.dataStart) + end; need > uint64(size) {
			missing = need - uint64(size)
		}
	}
	if missing > 0 {
		return fmt.Errorf("%w: its tensors need %d bytes more than the %d that it has; download or copy it again", ErrTruncated, missing, size)
	}
	return nil
}

// alignmentOf is the alignment that the metadata asks for.
func alignmentOf(kvs []KV) (uint64, error) {
	i := slices.IndexFunc(kvs, func(kv KV) bool { return kv.Key == keyAlignment })
	if i < 0 {
		return defaultAlignment, nil
	}
	if t := kvs[i].Type(); t != ValueUint32 {
		return 0, malformed("%s is of type %s; it must be uint32", keyAlignment, t)
	}
	a := uint64(binary.LittleEndian.Uint32(kvs[i].Raw[4:]))
	if bits.OnesCount64(a) != 1 {
		return 0, malformed("%s is %d; it must be a power of two", keyAlignment, a)
	}
	return a, nil
}

// pad rounds n up to a multiple of alignment, a power of two.
func pad(n, alignment uint64) uint64 { return (n + alignment - 1) &^ (alignment - 1) }
