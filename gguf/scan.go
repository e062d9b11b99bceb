package gguf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds on what a file may claim. They are far above any real model's, and keep the work on a hostile file small.
const (
	maxHeader     = 512 << 20 // bytes of metadata and tensor infos; the largest known vocabularies take 20 MB
	maxKey        = 1<<16 - 1 // bytes of a key, by the specification
	maxTensorName = 63        // bytes of a tensor's name: GGML_MAX_NAME less the final zero
	minKV         = 8 + 1 + 4 + 1
	minTensorInfo = 8 + 1 + 4 + 8 + 4 + 8
)

// scanner walks the header of a GGUF file front to back. It believes no length before it has compared it with the bytes
// that are left, so memory stays below a small multiple of the file's size.
type scanner struct {
	r    *bufio.Reader
	pos  int64  // bytes taken so far
	size int64  // bytes of the whole input
	buf  []byte // everything taken since the last reset
}

func newScanner(r io.Reader, size int64) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, int(min(size+1, 256<<10))), size: size}
}

// take appends the next n bytes to s.buf and returns them; they are valid until the next take.
func (s *scanner) take(n uint64) ([]byte, error) {
	left := uint64(s.size - s.pos)
	if n > left {
		return nil, fmt.Errorf("%w: %d bytes are expected at byte %d, and %d are left", ErrTruncated, n, s.pos, left)
	}
	if uint64(s.pos)+n > maxHeader {
		return nil, malformed("its metadata is larger than %d MB", maxHeader>>20)
	}
	at := len(s.buf)
	s.buf = append(s.buf, make([]byte, n)...)
	if _, err := io.ReadFull(s.r, s.buf[at:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it became shorter while it was read", ErrTruncated)
		}
		return nil, err
	}
	s.pos += int64(n)
	return s.buf[at:], nil
}

// reset forgets what was taken, keeping the memory.
func (s *scanner) reset() { s.buf = s.buf[:0] }

func (s *scanner) u32() (uint32, error) {
	b, err := s.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (s *scanner) u64() (uint64, error) {
	b, err := s.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// str reads a length and that many bytes, at most most.
func (s *scanner) str(most uint64) ([]byte, error) {
	n, err := s.u64()
	if err != nil {
		return nil, err
	}
	if n > most && n <= uint64(s.size-s.pos) {
		return nil, malformed("a string of %d bytes; %d are allowed", n, most)
	}
	return s.take(n)
}

// count reads a number of things of which each takes at least unit bytes.
func (s *scanner) count(what string, unit uint64) (uint64, error) {
	n, err := s.u64()
	if err != nil {
		return 0, err
	}
	if left := uint64(s.size - s.pos); n > left/unit {
		return 0, fmt.Errorf("%w: it claims %d %s, more than its remaining %d bytes can hold", ErrTruncated, n, what, left)
	}
	return n, nil
}

// value reads a value with its type in front, which stay in s.buf. Arrays of arrays are refused, as llama.cpp does.
func (s *scanner) value() (ValueType, error) {
	id, err := s.u32()
	if err != nil {
		return 0, err
	}
	t := ValueType(id)
	switch {
	case !t.known():
		return 0, malformed("unknown value type %d", id)
	case t == ValueString:
		_, err = s.str(maxHeader)
	case t == ValueArray:
		err = s.array()
	default:
		_, err = s.take(valueSizes[t])
	}
	return t, err
}

func (s *scanner) array() error {
	id, err := s.u32()
	if err != nil {
		return err
	}
	t := ValueType(id)
	if t == ValueArray {
		return malformed("an array of arrays, which llama.cpp does not read")
	}
	if !t.known() {
		return malformed("an array of unknown value type %d", id)
	}
	if t != ValueString {
		n, err := s.count("array elements", valueSizes[t])
		if err != nil {
			return err
		}
		_, err = s.take(n * valueSizes[t])
		return err
	}
	n, err := s.count("strings", 8)
	for ; err == nil && n > 0; n-- {
		_, err = s.str(maxHeader)
	}
	return err
}

// tensorInfo is a tensor as the header describes it. Its offset counts from the start of the data section.
type tensorInfo struct {
	name   string
	typ    Type
	dims   []uint64
	offset uint64
}

// tensorInfo reads the description of one tensor.
func (s *scanner) tensorInfo() (ti tensorInfo, err error) {
	s.reset()
	name, err := s.str(maxTensorName)
	if err != nil {
		return ti, err
	}
	ti.name = string(name)
	if ti.name == "" {
		return ti, malformed("a tensor without a name")
	}
	n, err := s.u32()
	if err != nil {
		return ti, err
	}
	if n == 0 || n > maxDims {
		return ti, malformed("tensor %s has %d dimensions; 1 to %d are allowed", quote(ti.name), n, maxDims)
	}
	ti.dims = make([]uint64, n)
	for i := range ti.dims {
		if ti.dims[i], err = s.u64(); err != nil {
			return ti, err
		}
	}
	id, err := s.u32()
	if err != nil {
		return ti, err
	}
	ti.typ = Type(id)
	ti.offset, err = s.u64()
	return ti, err
}

// checkRaw checks that raw is one value of the layout of KV.Raw, and nothing more.
func checkRaw(raw []byte) error {
	s := newScanner(bytes.NewReader(raw), int64(len(raw)))
	if _, err := s.value(); err != nil {
		return err
	}
	if s.pos != s.size {
		return malformed("%d bytes follow the value", s.size-s.pos)
	}
	return nil
}
