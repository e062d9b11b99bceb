package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"strings"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// Segment runs one batch from boundary start, with the residual stream in, to boundary stop, and returns the stream there: one row
// of n_embd for each position. Boundary i lies before the i-th of [Session.Blocks], the last one behind all of them; start -1, with
// in nil, is the embeddings. The sequences must be of one length. Each of taps is filled with what its weight is multiplied with, or
// says why it cannot be. What lies outside of start and stop is not computed. It implements engine.BlockRunner.
func (s *Session) Segment(ctx context.Context, batch []engine.Sequence, removed engine.Mask, start, stop int, in []float32,
	taps ...*engine.Tap,
) ([]float32, error) {
	const op = "run a block"
	mask, n, err := s.setStream(ctx, op, batch, removed, in, start >= 0)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range taps {
		names = append(names, t.Weight)
	}
	var a arena
	defer a.free()
	cnames := a.str(strings.Join(names, "\n"))
	out := make([]float32, n*s.model.info.NEmbd)
	err = s.run(ctx, op, func(e *C.bp_err) C.bp_status {
		return C.bp_segment(s.c, bytePtr(mask), C.int32_t(start), C.int32_t(stop), floatPtr(in), floatPtr(out), cnames, e)
	})
	for i := 0; err == nil && i < len(taps); i++ {
		err = s.readTap(op, i, n, taps[i])
	}
	return out, err
}

// readTap reads the i-th tap of the last segment, of n positions.
func (s *Session) readTap(op string, i, n int, t *engine.Tap) error {
	var cerr C.bp_err
	var k, used, norm C.int64_t
	var refused *C.char
	st := C.bp_tap_shape(s.c, C.int32_t(i), &k, &used, &norm, &refused, &cerr)
	if err := toError(op, st, &cerr); err != nil {
		return err
	}
	if t.Refused = C.GoString(refused); t.Refused != "" {
		return nil
	}
	t.K, t.Used = int(k), int(used)
	slots := n * max(1, t.Used)
	t.Features, t.Scale, t.BiasScale, t.Experts = make([]float32, slots*t.K), make([]float32, slots), make([]float32, slots), make([]int32, n*t.Used)
	var eps C.float
	if norm > 0 {
		t.Norm = make([]float32, norm)
	}
	st = C.bp_tap_read(s.c, C.int32_t(i), floatPtr(t.Features), floatPtr(t.Scale), floatPtr(t.BiasScale), intPtr(t.Experts), floatPtr(t.Norm), &eps, &cerr)
	t.Eps = float64(eps)
	return toError(op, st, &cerr)
}

// EvalFrom returns the losses of a batch from boundary start on, with the residual stream in; see [Session.Segment].
func (s *Session) EvalFrom(ctx context.Context, batch []engine.Sequence, removed engine.Mask, start int, in []float32) ([][]float64, error) {
	const op = "evaluate"
	mask, _, err := s.setStream(ctx, op, batch, removed, in, true)
	if err != nil {
		return nil, err
	}
	b := batchView{length: len(batch[0].Tokens), loss: make([]float64, len(batch)*len(batch[0].Tokens))}
	for _, q := range batch {
		b.lens = append(b.lens, len(q.Tokens))
	}
	err = s.run(ctx, op, func(e *C.bp_err) C.bp_status {
		return C.bp_eval_from(s.c, bytePtr(mask), C.int32_t(start), floatPtr(in), b.lossPtr(), e)
	})
	return b.rows(), err
}

// setStream hands a batch over, all of whose positions count, and checks the stream that comes with it.
func (s *Session) setStream(ctx context.Context, op string, batch []engine.Sequence, removed engine.Mask, in []float32, with bool) (mask []byte, positions int, err error) {
	if mask, err = s.bytes(removed); err != nil {
		return nil, 0, err
	}
	all := make([]engine.Sequence, len(batch))
	for i, q := range batch {
		if len(q.Tokens) != len(batch[0].Tokens) {
			return nil, 0, &engine.Error{Code: engine.BadInput, Op: op, Text: "the sequences of the batch differ in length"}
		}
		all[i] = q
		for _, t := range q.Targets {
			if t < 0 {
				return nil, 0, &engine.Error{Code: engine.BadInput, Op: op, Text: "a position is not scored"}
			}
		}
		positions += len(q.Tokens)
	}
	if want := positions * s.model.info.NEmbd; with && len(in) != want {
		return nil, 0, &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("a stream of %d numbers, %d are needed", len(in), want)}
	}
	_, err = s.setBatch(ctx, all)
	return mask, positions, err
}

// Product adds a^T b, summed over n rows, to acc: a is (n, ka), b is (n, kb), acc (ka, kb), rows contiguous. It runs in single
// precision on the device that holds weight, or if that is "" on one that holds some; acc is double.
func (s *Session) Product(ctx context.Context, weight string, n int, a, b []float32, acc []float64) error {
	const op = "matrix product"
	if n < 1 || len(a) < n || len(b) < n || len(a)%n != 0 || len(b)%n != 0 || len(acc) != (len(a)/n)*(len(b)/n) {
		return &engine.Error{Code: engine.BadInput, Op: op, Text: "the matrices do not fit each other"}
	}
	var mem arena
	defer mem.free()
	cw := mem.str(weight)
	return s.run(ctx, op, func(e *C.bp_err) C.bp_status {
		return C.bp_product(s.c, cw, C.int64_t(n), C.int64_t(len(a)/n), floatPtr(a), C.int64_t(len(b)/n), floatPtr(b), doublePtr(acc), e)
	})
}

// SetWeight overwrites a weight of the loaded model, for all its sessions. data is as in the file, of the same type and shape. The
// model must have been loaded with NoMmap.
func (s *Session) SetWeight(name string, data []byte) error {
	var a arena
	defer a.free()
	var cerr C.bp_err
	st := C.bp_set_weight(s.c, a.str(name), unsafe.Pointer(bytePtr(data)), C.size_t(len(data)), &cerr)
	return toError("set weight", st, &cerr)
}

// FromFloat encodes rows of perRow weights in a ggml type, with llama.cpp's quantiser. importance says how much each column matters;
// it may be nil, except for the types that need it.
func FromFloat(ggmlType uint32, weights []float32, perRow int, importance []float32) ([]byte, error) {
	start()
	size := C.bp_row_size(C.int32_t(ggmlType), C.int64_t(perRow))
	if size == 0 || perRow < 1 || len(weights) == 0 || len(weights)%perRow != 0 || importance != nil && len(importance) != perRow {
		return nil, &engine.Error{Code: engine.BadInput, Op: "encode weights", Text: fmt.Sprintf("rows of %d weights do not fit ggml type %d", perRow, ggmlType)}
	}
	rows := len(weights) / perRow
	out := make([]byte, rows*int(size))
	n := C.bp_from_float(C.int32_t(ggmlType), floatPtr(weights), C.int64_t(rows), C.int64_t(perRow), floatPtr(importance), unsafe.Pointer(bytePtr(out)))
	if int(n) != len(out) {
		return nil, &engine.Error{Code: engine.BadInput, Op: "encode weights", Text: fmt.Sprintf("ggml type %d cannot be written", ggmlType)}
	}
	return out, nil
}
