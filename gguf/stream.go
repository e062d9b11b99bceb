package gguf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ggufprune/ggufprune/internal/outfile"
)

const (
	chunk = 8 << 20 // bytes between two reports of progress
	// dirtyChunks bounds what the kernel may hold back: each chunk's writing to the disk is started at once and awaited
	// this many chunks later. So the fsync at the end is short, and a cancelled run stops at once.
	dirtyChunks = 8
	// bufferSize fits a core's own cache. A copy by way of a buffer that does not takes up to three times as long.
	bufferSize = 256 << 10
)

// sink is what a plan is written to: an *outfile.Pending.
type sink interface {
	io.Writer
	Preallocate() error
	Writeback(off, n, lag int64)
}

// stream writes a file front to back in constant memory.
type stream struct {
	ctx        context.Context
	out        sink
	pos, total int64
	started    int64 // up to here the writing to the disk was started
	progress   func(done, total int64)
	buf        []byte
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

// buffer is a buffer of bufferSize that the writers of data share.
func (s *stream) buffer() []byte {
	if s.buf == nil {
		s.buf = make([]byte, bufferSize)
	}
	return s.buf
}

// write writes b.
func (s *stream) write(b []byte) error {
	for len(b) > 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n := min(len(b), bufferSize)
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
	zero := make([]byte, min(n, bufferSize))
	for ; n > 0; n -= int64(len(zero)) {
		zero = zero[:min(n, int64(len(zero)))]
		if err := s.write(zero); err != nil {
			return err
		}
	}
	return nil
}

// copy writes n bytes of src from off on. By way of a buffer that stays in the core's cache this takes 14% less time than
// copy_file_range, which moves page by page where a file system does not share blocks (measured on ext4, 1.6 GB, fsync
// included). Blocks could hardly be shared anyway: a pruned model's tensors lie at other offsets than the source's.
func (s *stream) copy(src *os.File, off, n int64) error {
	if src == nil {
		return errClosed
	}
	willRead(src)
	buf := s.buffer()
	for n > 0 {
		part := buf[:min(n, bufferSize)]
		if err := readAt(src, part, off); err != nil {
			return err
		}
		if err := s.write(part); err != nil {
			return err
		}
		off, n = off+int64(len(part)), n-int64(len(part))
	}
	return nil
}

// advance notes that n more bytes were written.
func (s *stream) advance(n int64) {
	s.pos += n
	if s.pos-s.started < chunk && s.pos != s.total {
		return
	}
	s.out.Writeback(s.started, s.pos-s.started, dirtyChunks*chunk)
	s.started = s.pos
	if s.progress != nil {
		s.progress(s.pos, s.total)
	}
}

// sourceError is an error of reading a source model, not of the file that is written.
type sourceError struct{ err error }

func (e sourceError) Error() string { return e.err.Error() }
func (e sourceError) Unwrap() error { return e.err }

var errClosed = sourceError{errors.New("the source model is closed")}

// readAt fills b from off on.
func readAt(src *os.File, b []byte, off int64) error {
	if src == nil {
		return errClosed
	}
	_, err := src.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		return sourceError{fmt.Errorf("%s: %w: it became shorter while it was read", src.Name(), ErrTruncated)}
	}
	if err != nil {
		return sourceError{fmt.Errorf("read %s: %w", src.Name(), outfile.Plain(err))}
	}
	return nil
}
