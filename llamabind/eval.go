package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/engine"
)

var (
	_ engine.Session     = (*Session)(nil)
	_ engine.Brancher    = (*Session)(nil)
	_ engine.Referencer  = (*Session)(nil)
	_ engine.Influencer  = (*Session)(nil)
	_ engine.BlockRunner = (*Session)(nil)
	_ engine.Stepper     = (*Session)(nil)
)

// Eval implements engine.Runner: one pass with removed left out, which captures the stream before every candidate, then
// each candidate from there on. The numbers are bit-identical to those of full passes. In an unedited session, where nothing
// can be left out, it is [Session.EvalPlain].
func (s *Session) Eval(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, yield engine.Yield) error {
	if s.params.Unedited {
		return s.evalStock(ctx, batch, removed, candidates, yield)
	}
	return s.evaluate(ctx, batch, removed, candidates, true, yield)
}

// EvalCandidates is [Session.Eval] without the losses of the base: its run ends at the last boundary that is needed.
func (s *Session) EvalCandidates(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, yield engine.Yield) error {
	if len(candidates) == 0 {
		return nil
	}
	return s.evaluate(ctx, batch, removed, candidates, false, yield)
}

func (s *Session) evaluate(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, withBase bool, yield engine.Yield) error {
	const op = "evaluate"
	base, err := s.bytes(removed)
	if err != nil {
		return err
	}
	masks, need, err := s.boundaries(removed, candidates)
	if err != nil {
		return err
	}
	b, err := s.setBatch(ctx, batch)
	if err != nil {
		return err
	}
	err = s.run(ctx, op, func(e *C.bp_err) C.bp_status {
		switch {
		case !withBase:
			return C.bp_capture(s.c, bytePtr(base), bytePtr(need), e)
		case len(candidates) == 0:
			return C.bp_eval_base(s.c, bytePtr(base), nil, b.lossPtr(), e)
		}
		return C.bp_eval_base(s.c, bytePtr(base), bytePtr(need), b.lossPtr(), e)
	})
	if err != nil {
		return err
	}
	if withBase {
		if err := yield(-1, b.rows()); err != nil {
			return err
		}
	}
	for i := range candidates {
		err := s.run(ctx, op, func(e *C.bp_err) C.bp_status {
			return C.bp_eval_candidate(s.c, bytePtr(masks[i]), b.lossPtr(), e)
		})
		if err != nil {
			return err
		}
		if err := yield(i, b.rows()); err != nil {
			return err
		}
	}
	return nil
}

// boundaries turns candidates into the shim's masks and says in front of which blocks they start.
func (s *Session) boundaries(removed engine.Mask, candidates []engine.Mask) (masks [][]byte, need []byte, err error) {
	masks = make([][]byte, len(candidates))
	need = make([]byte, len(s.blocks))
	for i, c := range candidates {
		if masks[i], err = s.bytes(c.Without(removed.Blocks()...)); err != nil {
			return nil, nil, err
		}
		first := firstOf(masks[i])
		if first < 0 {
			return nil, nil, &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: fmt.Sprintf("candidate %q removes nothing that is left", c)}
		}
		need[first] = 1
	}
	return masks, need, nil
}

func (s *Session) evalStock(ctx context.Context, batch []engine.Sequence, removed engine.Mask, candidates []engine.Mask, yield engine.Yield) error {
	if len(candidates) > 0 {
		return &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: "an unedited session cannot leave blocks out"}
	}
	nll, err := s.EvalPlain(ctx, batch, removed)
	if err != nil {
		return err
	}
	return yield(-1, nll)
}

// EvalPlain is the reference for [Session.Eval]: full logits on the host, and their log-softmax there, as llama-perplexity
// computes it. It gives NLLs also where the batch has references. In an unedited session removed must be empty.
func (s *Session) EvalPlain(ctx context.Context, batch []engine.Sequence, removed engine.Mask) ([][]float64, error) {
	mask, err := s.bytes(removed)
	if err != nil {
		return nil, err
	}
	b, err := s.setBatch(ctx, batch)
	if err != nil {
		return nil, err
	}
	err = s.run(ctx, "evaluate", func(e *C.bp_err) C.bp_status { return C.bp_eval_plain(s.c, bytePtr(mask), b.lossPtr(), e) })
	if err != nil {
		return nil, err
	}
	return b.rows(), nil
}

// TopK implements engine.Referencer.
func (s *Session) TopK(ctx context.Context, batch []engine.Sequence, k int) ([]*engine.Reference, error) {
	k = min(k, s.model.info.NVocab)
	b, err := s.setBatch(ctx, batch)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, q := range batch {
		n += q.Scored()
	}
	ids, logp := make([]engine.Token, n*max(k, 1)), make([]float32, n*max(k, 1))
	if n == 0 {
		return nil, &engine.Error{Code: engine.BadInput, Op: "evaluate", Text: "the batch has no scored position"}
	}
	err = s.run(ctx, "evaluate", func(e *C.bp_err) C.bp_status {
		return C.bp_top_k(s.c, C.int32_t(k), intPtr(ids), floatPtr(logp), e)
	})
	if err != nil {
		return nil, err
	}
	out := make([]*engine.Reference, len(b.lens))
	for i, q := range batch {
		m := q.Scored() * k
		out[i] = &engine.Reference{K: k, IDs: ids[:m:m], LogProbs: logp[:m:m]}
		ids, logp = ids[m:], logp[m:]
	}
	return out, nil
}

// Influence implements engine.Influencer. It scores every position; the sequences should be of one length, since padding
// would count.
func (s *Session) Influence(ctx context.Context, batch []engine.Sequence) (engine.Influence, error) {
	const op = "block influence"
	all := make([]engine.Sequence, len(batch))
	for i, q := range batch {
		if len(q.Tokens) != len(batch[0].Tokens) {
			return engine.Influence{}, &engine.Error{Code: engine.BadInput, Op: op, Text: "the sequences of the batch differ in length"}
		}
		all[i] = engine.Sequence{Tokens: q.Tokens, Targets: make([]engine.Token, len(q.Tokens))}
	}
	b, err := s.setBatch(ctx, all)
	if err != nil {
		return engine.Influence{}, err
	}
	if len(s.blocks) == 0 {
		return engine.Influence{}, &engine.Error{Code: engine.BadInput, Op: op, Text: "an unedited session knows no blocks"}
	}
	block, layer := make([]float64, len(s.blocks)), make([]float64, len(s.blocks))
	err = s.run(ctx, op, func(e *C.bp_err) C.bp_status {
		return C.bp_influence(s.c, doublePtr(block), doublePtr(layer), e)
	})
	if err != nil {
		return engine.Influence{}, err
	}
	out := engine.Influence{Blocks: map[engine.Block]float64{}, Layers: map[int]float64{}, Positions: len(b.tokens)}
	for i, blk := range s.blocks {
		out.Blocks[blk] = block[i]
		out.Layers[blk.Layer] = layer[i]
	}
	return out, nil
}
