package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"cmp"
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/engine"
)

// Session evaluates batches on a context of a model. It implements engine.Session, and all that package engine lets a session do besides.
type Session struct {
	c       *C.bp_session
	model   *Model
	params  engine.SessionParams
	cancel  *C.bp_cancel
	blocks  []engine.Block
	weights map[engine.Block][]string
}

var flashAttn = map[string]C.int32_t{"": -1, "auto": -1, "off": 0, "on": 1}

// NewSession creates a context. Unless p.Unedited, it finds the model's blocks and tests the edit on a few tokens; a model
// whose graph is not understood gives an [engine.Error] with code [engine.UnsupportedArch] that says why.
func (m *Model) NewSession(ctx context.Context, p engine.SessionParams) (*Session, error) {
	const op = "open session"
	if ctx.Err() != nil {
		return nil, &engine.Error{Code: engine.Cancelled, Op: op, Text: "cancelled"}
	}
	fa, ok := flashAttn[p.FlashAttn]
	if !ok {
		return nil, &engine.Error{Code: engine.BadInput, Op: op, Text: fmt.Sprintf("flash attention %q: use auto, on or off", p.FlashAttn)}
	}
	if p.Threads <= 0 {
		p.Threads = PhysicalCores()
	}
	cp := C.bp_session_params{
		n_seq: C.int32_t(p.NSeq), seq_len: C.int32_t(p.SeqLen), n_batch: C.int32_t(p.Batch), n_ubatch: C.int32_t(p.UBatch),
		n_threads: C.int32_t(p.Threads), flash_attn: fa, unedited: C.bool(p.Unedited),
	}
	s := &Session{model: m, params: p, cancel: newCancel(), weights: map[engine.Block][]string{}}
	var cerr C.bp_err
	st := C.bp_session_open(m.c, &cp, s.cancel, &s.c, &cerr)
	if err := toError(op, st, &cerr); err != nil {
		C.bp_cancel_free(s.cancel)
		return nil, err
	}
	s.readBlocks()
	return s, nil
}

func (s *Session) readBlocks() {
	for i := range int(C.bp_n_blocks(s.c)) {
		var layer, kind, nw C.int32_t
		C.bp_block(s.c, C.int32_t(i), &layer, &kind, &nw)
		b := engine.Block{Layer: int(layer), Kind: engine.Mixer}
		if kind != 0 {
			b.Kind = engine.FFN
		}
		s.blocks = append(s.blocks, b)
		for w := range int(nw) {
			s.weights[b] = append(s.weights[b], C.GoString(C.bp_block_weight(s.c, C.int32_t(i), C.int32_t(w))))
		}
	}
}

// Close frees the context.
func (s *Session) Close() {
	if s.c != nil {
		C.bp_session_close(s.c)
		C.bp_cancel_free(s.cancel)
		s.c = nil
	}
}

// Blocks returns the model's blocks, front to back; none in an unedited session.
func (s *Session) Blocks() []engine.Block { return s.blocks }

// Weights names the matrices and biases of a block; its norms are not among them.
func (s *Session) Weights(b engine.Block) []string { return s.weights[b] }

// BatchTokens is the largest batch, in tokens.
func (s *Session) BatchTokens() int { return s.params.NSeq * s.params.SeqLen }

// BatchSeqs is the largest number of sequences of a batch.
func (s *Session) BatchSeqs() int { return s.params.NSeq }

// Logits calls row for every scored position of the batch, in order, with the full logits of the model without removed.
// logits has one value for each token of the vocabulary and is valid until the session's next call.
func (s *Session) Logits(ctx context.Context, batch []engine.Sequence, removed engine.Mask,
	row func(seq, pos int, logits []float32) error,
) error {
	b, err := s.setBatch(ctx, batch)
	if err != nil {
		return err
	}
	mask, err := s.bytes(removed)
	if err != nil {
		return err
	}
	var rows *C.float
	var n C.int32_t
	err = s.run(ctx, "evaluate", func(e *C.bp_err) C.bp_status { return C.bp_logits(s.c, bytePtr(mask), &rows, &n, e) })
	if err != nil {
		return err
	}
	nv := s.model.info.NVocab
	all := borrow[float32](rows, int(n)*nv)
	for i, t := range b.targets {
		if t < 0 {
			continue
		}
		if err := row(i/b.length, i%b.length, all[:nv:nv]); err != nil {
			return err
		}
		all = all[nv:]
	}
	return nil
}

// run makes one call of the shim that ends early when ctx does.
func (s *Session) run(ctx context.Context, op string, call func(*C.bp_err) C.bp_status) error {
	if ctx.Err() != nil {
		return &engine.Error{Code: engine.Cancelled, Op: op, Text: "cancelled"}
	}
	stop := onCancel(ctx, s.cancel)
	var cerr C.bp_err
	st := call(&cerr)
	stop()
	return toError(op, st, &cerr)
}

// bytes turns a mask into one byte for each block.
func (s *Session) bytes(m engine.Mask) ([]byte, error) {
	if s.params.Unedited {
		if len(m) > 0 {
			return nil, &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: "an unedited session cannot leave blocks out"}
		}
		return nil, nil
	}
	if err := cmp.Or(m.Check(s.blocks), m.WholeBlocks()); err != nil {
		return nil, &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: err.Error()}
	}
	out := make([]byte, len(s.blocks))
	for i, b := range s.blocks {
		if m.Has(b) {
			out[i] = 1
		}
	}
	return out, nil
}

func firstOf(mask []byte) int {
	for i, m := range mask {
		if m != 0 {
			return i
		}
	}
	return -1
}
