package gguf

import (
	"fmt"
	"slices"
)

// Data is where the bytes of a written tensor come from. Copy, Rows, Zeros, Bytes, Changed and Made make one. The first three
// stream, so that writing takes constant memory; Made holds one tensor at a time.
type Data interface {
	// Size is the number of bytes.
	Size() int64

	check() error            // reports what cannot be written, before anything is
	source() *File           // the model it reads, nil for none
	writeTo(s *stream) error // writes Size bytes
}

// Copy is a tensor of f, byte for byte. t is a tensor of f, which must stay open until the data is written.
func Copy(f *File, t Tensor) Data { return copyData{f, t} }

type copyData struct {
	f *File
	t Tensor
}

func (d copyData) Size() int64   { return d.t.Size }
func (d copyData) check() error  { return nil }
func (d copyData) source() *File { return d.f }

func (d copyData) writeTo(s *stream) error {
	return s.copy(d.f.shards[d.t.shard].file, d.t.offset, d.t.Size)
}

// Rows is rows of a tensor of f: row i of the result is row perm[i] of t. perm may leave rows out or repeat them. A row is
// Dims[0] elements, whatever their type, so quantised rows move whole and lose nothing; in a tensor of three or four
// dimensions the rows are counted through all of them. f must stay open until the data is written.
func Rows(f *File, t Tensor, perm []int64) Data {
	return rowsData{f, t, slices.Clone(perm), t.Type.RowBytes(t.Dims[0])}
}

type rowsData struct {
	f        *File
	t        Tensor
	perm     []int64
	rowBytes int64
}

func (d rowsData) Size() int64   { return d.rowBytes * int64(len(d.perm)) }
func (d rowsData) source() *File { return d.f }

func (d rowsData) check() error {
	for _, r := range d.perm {
		if r < 0 || r >= d.t.Rows() {
			return fmt.Errorf("row %d of tensor %s does not exist; it has %d", r, quote(d.t.Name), d.t.Rows())
		}
	}
	return nil
}

// writeTo gathers the rows in the stream's buffer. Neighbours in the result which are neighbours in the source are read at
// once, and runs too long for the buffer are copied as a tensor is.
func (d rowsData) writeTo(s *stream) error {
	file := d.f.shards[d.t.shard].file
	buf := s.buffer()
	filled := 0
	flush := func() error {
		err := s.write(buf[:filled])
		filled = 0
		return err
	}
	for i := 0; i < len(d.perm); {
		run := 1
		for i+run < len(d.perm) && d.perm[i+run] == d.perm[i]+int64(run) {
			run++
		}
		off, n := d.t.offset+d.perm[i]*d.rowBytes, int64(run)*d.rowBytes
		i += run
		if n > int64(len(buf)-filled) {
			if err := flush(); err != nil {
				return err
			}
		}
		if n > int64(len(buf)) {
			if err := s.copy(file, off, n); err != nil {
				return err
			}
			continue
		}
		if err := readAt(file, buf[filled:filled+int(n)], off); err != nil {
			return err
		}
		filled += int(n)
	}
	return flush()
}

// Zeros is n zero bytes. In every type of ggml they decode to zeros.
func Zeros(n int64) Data { return zeroData(n) }

// SourceOf returns the tensor whose rows d is made of, false where there is none: whatever else belongs to a tensor, such as its
// importance matrix, follows it by that.
func SourceOf(d Data) (Tensor, bool) {
	switch d := d.(type) {
	case copyData:
		return d.t, true
	case rowsData:
		return d.t, true
	case changedData:
		return d.t, true
	}
	return Tensor{}, false
}

// IsZeros reports whether d was made by Zeros.
func IsZeros(d Data) bool { _, ok := d.(zeroData); return ok }

type zeroData int64

func (d zeroData) Size() int64             { return int64(d) }
func (d zeroData) source() *File           { return nil }
func (d zeroData) writeTo(s *stream) error { return s.zeros(int64(d)) }

func (d zeroData) check() error {
	if d < 0 {
		return fmt.Errorf("%d zero bytes cannot be written", int64(d))
	}
	return nil
}

// Bytes is the bytes b, which must not change until they are written.
func Bytes(b []byte) Data { return byteData(b) }

type byteData []byte

func (d byteData) Size() int64             { return int64(len(d)) }
func (d byteData) check() error            { return nil }
func (d byteData) source() *File           { return nil }
func (d byteData) writeTo(s *stream) error { return s.write(d) }

// Changed is new bytes of tensor t: [SourceOf] still leads to it.
func Changed(t Tensor, b []byte) Data { return changedData{byteData(b), t} }

type changedData struct {
	byteData
	t Tensor
}

// Made is n bytes that make returns when they are written.
func Made(n int64, make func() ([]byte, error)) Data { return madeData{n, make} }

type madeData struct {
	n    int64
	make func() ([]byte, error)
}

func (d madeData) Size() int64   { return d.n }
func (d madeData) check() error  { return nil }
func (d madeData) source() *File { return nil }

func (d madeData) writeTo(s *stream) error {
	b, err := d.make()
	if err != nil {
		return err
	}
	if int64(len(b)) != d.n {
		return fmt.Errorf("%d bytes were made of a tensor that takes %d", len(b), d.n)
	}
	return s.write(b)
}
