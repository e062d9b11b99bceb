package kld

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ggufprune/ggufprune/engine"
)

// A base file, as `llama-perplexity --kl-divergence-base FILE` writes it (perplexity.cpp), all numbers little endian:
//
//	8 bytes   "_logits_"
//	int32     n_ctx: tokens of a window
//	int32     n_vocab
//	int32     n_chunk: windows
//	int32     tokens, (n_chunk, n_ctx), each window's first one as in the text: not yet BOS
//	rows      (n_chunk, n_ctx - 1 - n_ctx/2, nv) words of 16 bits, nv = n_vocab made even + 4: see quantizeRow
//
// Window's scored positions are n_ctx/2 .. n_ctx-2, as in the windows of package perplexity.

const (
	baseMagic  = "_logits_"
	baseHeader = len(baseMagic) + 3*4
	minContext = 4       // the least that leaves a window a position to score
	maxVocab   = 1 << 24 // beyond these a header is damaged
	maxContext = 1 << 24
)

// BaseShape says what a base file holds.
type BaseShape struct {
	Context int            // tokens of a window
	Vocab   int            // tokens of the vocabulary
	Tokens  []engine.Token // of all windows, one after the other
}

// Windows returns the number of windows.
func (s BaseShape) Windows() int { return len(s.Tokens) / s.Context }

// Rows returns the number of scored positions of a window.
func (s BaseShape) Rows() int { return s.Context - 1 - s.Context/2 }

// Bytes returns the size of the file.
func (s BaseShape) Bytes() int64 {
	return int64(baseHeader) + 4*int64(len(s.Tokens)) + int64(s.Windows())*s.windowBytes()
}

func (s BaseShape) windowBytes() int64 { return int64(s.Rows()) * 2 * int64(rowWords(s.Vocab)) }

// BaseWriter writes a base file.
type BaseWriter struct {
	w     *bufio.Writer
	shape BaseShape
	next  int // window
}

// NewBaseWriter writes the header and the tokens to w.
func NewBaseWriter(w io.Writer, shape BaseShape) (*BaseWriter, error) {
	b := &BaseWriter{w: bufio.NewWriterSize(w, 1<<20), shape: shape}
	head := []byte(baseMagic)
	for _, n := range []int{shape.Context, shape.Vocab, shape.Windows()} {
		head = binary.LittleEndian.AppendUint32(head, uint32(n))
	}
	if _, err := b.w.Write(head); err != nil {
		return nil, err
	}
	return b, binary.Write(b.w, binary.LittleEndian, shape.Tokens)
}

// Window writes the next window: rows has the logits of its scored positions, in order.
func (b *BaseWriter) Window(rows [][]float32) error {
	if len(rows) != b.shape.Rows() || b.next == b.shape.Windows() {
		return fmt.Errorf("window %d with %d positions does not belong into a base file of %d with %d each", b.next, len(rows), b.shape.Windows(), b.shape.Rows())
	}
	b.next++
	out := make([][]byte, len(rows))
	inParallel(len(rows), func(i int) {
		out[i] = quantizeRow(make([]byte, 0, 2*rowWords(b.shape.Vocab)), rows[i])
	})
	for i, row := range out {
		if !parseRow(row, b.shape.Vocab).sound() {
			return fmt.Errorf("%w: position %d of window %d", ErrNoNumbers, b.shape.Context/2+i, b.next)
		}
		if _, err := b.w.Write(row); err != nil {
			return err
		}
	}
	return nil
}

// ErrNoNumbers is wrapped by errors about predictions that are NaN or infinite.
var ErrNoNumbers = errors.New("its predictions are no numbers")

// Close ends the file, which it does not close.
func (b *BaseWriter) Close() error {
	if b.next != b.shape.Windows() {
		return fmt.Errorf("a base file of %d windows got %d", b.shape.Windows(), b.next)
	}
	return b.w.Flush()
}

// BaseReader reads a base file window by window.
type BaseReader struct {
	BaseShape
	r   io.Reader
	buf []byte
}

// OpenBase checks the whole shape of a base file of size bytes, and reads its tokens.
func OpenBase(r io.Reader, size int64) (*BaseReader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	head := make([]byte, baseHeader)
	if _, err := io.ReadFull(buffered, head); err != nil || string(head[:len(baseMagic)]) != baseMagic {
		return nil, errors.New("is no base file: it does not begin with " + baseMagic)
	}
	word := func(i int) int64 { return int64(int32(binary.LittleEndian.Uint32(head[len(baseMagic)+4*i:]))) }
	context, vocab, windows := word(0), word(1), word(2)
	if context < minContext || context > maxContext || vocab < 1 || vocab > maxVocab || windows < 1 {
		return nil, fmt.Errorf("is damaged: %d windows of %d tokens, vocabulary of %d", windows, context, vocab)
	}
	b := &BaseReader{BaseShape: BaseShape{Context: int(context), Vocab: int(vocab)}, r: buffered}
	// windows < 2^31, and what one window takes is below 2^51: the comparison by division does not overflow.
	perWindow := 4*context + b.windowBytes()
	switch rest := size - int64(baseHeader); {
	case rest/perWindow < windows:
		return nil, fmt.Errorf("is truncated: its header tells of %d windows, it holds %d", windows, rest/perWindow)
	case rest != windows*perWindow:
		return nil, fmt.Errorf("is damaged: it is longer than the %d windows that its header tells of", windows)
	}
	b.Tokens = make([]engine.Token, windows*context)
	if err := binary.Read(buffered, binary.LittleEndian, b.Tokens); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	for i, t := range b.Tokens {
		if t < 0 || int64(t) >= vocab {
			return nil, fmt.Errorf("is damaged: token %d is %d, the vocabulary has %d", i, t, vocab)
		}
	}
	b.buf = make([]byte, b.windowBytes())
	return b, nil
}

// window reads the next window's rows, valid until the next call.
func (b *BaseReader) window() ([]quantizedRow, error) {
	if _, err := io.ReadFull(b.r, b.buf); err != nil {
		return nil, fmt.Errorf("base logits: %w", err)
	}
	rows := make([]quantizedRow, b.Rows())
	width := 2 * rowWords(b.Vocab)
	for i := range rows {
		rows[i] = parseRow(b.buf[i*width:(i+1)*width], b.Vocab)
	}
	return rows, nil
}

// OpenBaseFile opens the base file at path. Close the file behind the last window.
func OpenBaseFile(path string) (*BaseReader, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	b, err := OpenBase(f, info.Size())
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("base logits %s %w", path, err)
	}
	return b, f, nil
}
