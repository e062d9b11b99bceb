package gguf

import (
	"fmt"
	"slices"
	"strings"

	parser "github.com/gpustack/gguf-parser-go"
)

// The door to gguf-parser-go. It is the only file that imports the library, because the library panics on much that a
// damaged file may hold, trims white space off strings, and takes every file that is named like a shard for one. So it gets
// only files whose header passed readHeader, its panics end here, and what it reads is held against what readHeader read:
// two readers written by different people agree on every tensor, or the file is refused.

// parse reads the headers of the file at path, or of all shards where it is named like one.
func parse(path string) (gf *parser.GGUFFile, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: gguf-parser-go cannot read it: %v", ErrMalformed, oneLine(r))
		}
	}()
	// Through a memory map: the library reads each string by system calls of its own, which for a vocabulary of 128000 tokens
	// takes seconds, and 0.1 s mapped. It turns the fault of a file that shrinks meanwhile into an error.
	gf, err = parser.ParseGGUFFile(path, parser.SkipLargeMetadata(), parser.UseMMap())
	if err != nil { // a file system without memory maps, or a bad file, which fails again
		gf, err = parser.ParseGGUFFile(path, parser.SkipLargeMetadata())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: gguf-parser-go cannot read it: %v", ErrMalformed, oneLine(err))
	}
	return gf, nil
}

// oneLine prints v without line breaks.
func oneLine(v any) string { return strings.Join(strings.Fields(fmt.Sprint(v)), " ") }

// crossCheck has gguf-parser-go read the shards at paths as one model and compares the result with headers.
func crossCheck(path string, headers []*header) error {
	for _, h := range headers {
		if err := checkLayerArrays(h.kvs); err != nil {
			return err
		}
	}
	gf, err := parse(path)
	if err != nil {
		return err
	}
	var kvs []KV
	var infos []tensorInfo
	for _, h := range headers {
		for _, kv := range h.kvs {
			if kv.Key != keySplitNo { // the library drops it
				kvs = append(kvs, kv)
			}
		}
		infos = append(infos, h.infos...)
	}
	if len(gf.Header.MetadataKV) != len(kvs) || len(gf.TensorInfos) != len(infos) {
		return malformed("gguf-parser-go finds %d metadata keys and %d tensors where %d and %d were read",
			len(gf.Header.MetadataKV), len(gf.TensorInfos), len(kvs), len(infos))
	}
	for i, kv := range kvs {
		p := gf.Header.MetadataKV[i]
		if p.Key != trimmed(kv.Key) || uint32(p.ValueType) != uint32(kv.Type()) {
			return malformed("gguf-parser-go reads metadata key %s differently", quote(kv.Key))
		}
	}
	for i, ti := range infos {
		p := gf.TensorInfos[i]
		if p.Name != trimmed(ti.name) || uint32(p.Type) != uint32(ti.typ) || p.Offset != ti.offset || !slices.Equal(p.Dimensions, ti.dims) {
			return malformed("gguf-parser-go reads tensor %s differently", quote(ti.name))
		}
	}
	if len(headers) == 1 && gf.TensorDataStartOffset != headers[0].dataStart {
		return malformed("gguf-parser-go finds the tensor data at %d, not at %d", gf.TensorDataStartOffset, headers[0].dataStart)
	}
	return nil
}

// checkLayerArrays refuses arrays with more elements than any model has layers, where gguf-parser-go reads them into memory
// at 16 bytes for each element: the suffixes are its own.
func checkLayerArrays(kvs []KV) error {
	suffixes := []string{".feed_forward_length", ".attention.head_count", ".attention.head_count_kv", ".attention.sliding_window_pattern"}
	for _, kv := range kvs {
		isLayers := slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(kv.Key, s) })
		if isLayers && kv.Type() == ValueArray && kv.arrayLen() > maxLayers {
			return malformed("metadata key %s has %d elements; llama.cpp allows %d layers", quote(kv.Key), kv.arrayLen(), llamaMaxLayers)
		}
	}
	return nil
}

// trimmed is what the library makes of a string.
func trimmed(s string) string { return strings.TrimSpace(s) }
