package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// batchView is a batch as the shim wants it: all sequences of one length, one after the other.
type batchView struct {
	length  int // tokens per sequence
	tokens  []engine.Token
	targets []engine.Token
	loss    []float64
	lens    []int // the length of each sequence before padding
}

// setBatch pads the sequences to the longest and hands them over. Padding stands behind the text and is not scored, and the
// models are causal, so it changes nothing.
func (s *Session) setBatch(ctx context.Context, batch []engine.Sequence) (*batchView, error) {
	const op = "set batch"
	if ctx.Err() != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: op, Text: "cancelled"}
	}
	b := &batchView{}
	for i, q := range batch {
		if len(q.Tokens) != len(q.Targets) || len(q.Tokens) == 0 {
			return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("sequence %d has %d tokens and %d targets", i, len(q.Tokens), len(q.Targets))}
		}
		b.length = max(b.length, len(q.Tokens))
		b.lens = append(b.lens, len(q.Tokens))
	}
	if len(batch) == 0 || len(batch)*b.length > s.BatchTokens() || len(batch) > s.BatchSeqs() || b.length > s.params.SeqLen {
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("%d sequences of up to %d tokens do not fit a session of %d x %d",
			len(batch), b.length, s.params.NSeq, s.params.SeqLen)}
	}
	for _, q := range batch {
		b.tokens = append(b.tokens, q.Tokens...)
		b.targets = append(b.targets, q.Targets...)
		for range b.length - len(q.Tokens) {
			b.tokens = append(b.tokens, q.Tokens[len(q.Tokens)-1])
			b.targets = append(b.targets, engine.Unscored)
		}
	}
	b.loss = make([]float64, len(b.tokens))
	var cerr C.bp_err
	st := C.bp_set_batch(s.c, (*C.int32_t)(&b.tokens[0]), (*C.int32_t)(&b.targets[0]), C.int32_t(len(batch)), C.int32_t(b.length), &cerr)
	if err := toError(op, st, &cerr); err != nil {
		return nil, err
	}
	return b, s.setReference(batch)
}

// setReference hands over what the unpruned model predicts, if the batch has it.
func (s *Session) setReference(batch []engine.Sequence) error {
	const op = "set batch"
	if batch[0].Ref == nil {
		return nil
	}
	k := batch[0].Ref.K
	var ids []engine.Token
	var logp []float32
	for i, q := range batch {
		if n := q.Scored() * k; q.Ref == nil || q.Ref.K != k || k < 1 || len(q.Ref.IDs) != n || len(q.Ref.LogProbs) != n {
			return &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("the reference of sequence %d does not fit it", i)}
		}
		ids = append(ids, q.Ref.IDs...)
		logp = append(logp, q.Ref.LogProbs...)
	}
	if len(ids) == 0 {
		return &engine.Error{Code: engine.BadInput, Op: op, Text: "the batch has no scored position"}
	}
	var cerr C.bp_err
	st := C.bp_set_reference(s.c, C.int32_t(k), (*C.int32_t)(&ids[0]), (*C.float)(&logp[0]), &cerr)
	return toError(op, st, &cerr)
}

func (b *batchView) lossPtr() *C.double { return (*C.double)(unsafe.Pointer(&b.loss[0])) }

// rows cuts the losses into sequences without their padding.
func (b *batchView) rows() [][]float64 {
	out := make([][]float64, len(b.lens))
	for i, n := range b.lens {
		out[i] = b.loss[i*b.length : i*b.length+n]
	}
	return out
}
