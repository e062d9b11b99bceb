package gguf

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	chunk = 8 << 20 // bytes written between two looks at the context
	// dirtyChunks bounds what the kernel may hold back: each chunk's writing to the disk is started at once and awaited
	// this many chunks later. So the fsync at the end is short, and a cancelled run stops at once.
	dirtyChunks = 16
)

// stream writes a file front to back in constant memory. While it writes, a second goroutine hashes what was written, out
// of the page cache, where it still is: the tensors themselves are copied inside the kernel and pass no buffer of ours.
type stream struct {
	ctx        context.Context
	out        outFile
	pos, total int64
	synced     int64 // up to here the writing to the disk was started
	progress   func(done, total int64)
	buf        []byte

	written chan int64 // the latest pos, for the hashing goroutine
	hashed  chan hashResult
}

type hashResult struct {
	sum []byte
	err error
}

func newStream(ctx context.Context, out outFile, total int64, progress func(done, total int64)) *stream {
	s := &stream{ctx: ctx, out: out, total: total, progress: progress, written: make(chan int64, 1), hashed: make(chan hashResult, 1)}
	go s.hash()
	return s
}

// plan writes the header and the tensors.
func (s *stream) plan(p *Plan) error {
	a := p.alignment()
	if err := s.write(p.header()); err != nil {
		return err
	}
	for _, t := range p.Tensors {
		start := s.pos
		if err := t.Data.writeTo(s); err != nil {
			return err
		}
		n := uint64(t.Data.Size())
		if s.pos != start+int64(n) {
			return fmt.Errorf("tensor %s: %d bytes were written instead of %d", quote(t.Name), s.pos-start, n)
		}
		if err := s.zeros(int64(pad(n, a) - n)); err != nil {
			return err
		}
	}
	if s.pos != s.total {
		return fmt.Errorf("%d bytes were written instead of %d", s.pos, s.total)
	}
	return s.ctx.Err()
}

// buffer is a buffer of one chunk that the writers of data share.
func (s *stream) buffer() []byte {
	if s.buf == nil {
		s.buf = make([]byte, chunk)
	}
	return s.buf
}

// write writes b.
func (s *stream) write(b []byte) error {
	for len(b) > 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n := min(len(b), chunk)
		if _, err := s.out.Write(b[:n]); err != nil {
			return err
		}
		s.advance(int64(n))
		b = b[n:]
	}
	return nil
}

// zeros writes n zero bytes.
func (s *stream) zeros(n int64) error {
	if n == 0 {
		return nil
	}
	zero := make([]byte, min(n, 1<<20))
	for ; n > 0; n -= int64(len(zero)) {
		zero = zero[:min(n, int64(len(zero)))]
		if err := s.write(zero); err != nil {
			return err
		}
	}
	return nil
}

// copy writes n bytes of src from off on, inside the kernel where the system can do that.
func (s *stream) copy(src *os.File, off, n int64) error {
	if src == nil {
		return errors.New("the source model is closed")
	}
	for n > 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		want := min(n, chunk)
		if err := s.out.copyRange(src, off, want, s.buffer); err != nil {
			return err
		}
		s.advance(want)
		off, n = off+want, n-want
	}
	return nil
}

// advance notes that n more bytes were written.
func (s *stream) advance(n int64) {
	s.pos += n
	if s.pos-s.synced >= chunk || s.pos == s.total {
		s.out.writeback(s.synced, s.pos-s.synced, dirtyChunks*chunk)
		s.synced = s.pos
		if s.progress != nil {
			s.progress(s.pos, s.total)
		}
	}
	select { // only the latest pos matters
	case <-s.written:
	default:
	}
	s.written <- s.pos
}

// hash hashes the file as it grows, until s.written is closed.
func (s *stream) hash() {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	done := int64(0)
	for end := range s.written {
		for done < end {
			b := buf[:min(end-done, int64(len(buf)))]
			if _, err := s.out.ReadAt(b, done); err != nil && !errors.Is(err, io.EOF) {
				s.hashed <- hashResult{err: err}
				for range s.written {
				}
				return
			}
			h.Write(b)
			done += int64(len(b))
		}
	}
	s.hashed <- hashResult{sum: h.Sum(nil)}
}

// finish ends the hashing and returns the hash.
func (s *stream) finish(ok bool) ([]byte, error) {
	close(s.written)
	r := <-s.hashed
	if !ok {
		return nil, nil
	}
	return r.sum, r.err
}

// readAt fills b from off on.
func readAt(src *os.File, b []byte, off int64) error {
	if src == nil {
		return errors.New("the source model is closed")
	}
	_, err := src.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w: it became shorter while it was read", src.Name(), ErrTruncated)
	}
	return err
}
