package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// Step implements engine.Stepper in an unedited session.
func (s *Session) Step(ctx context.Context, in []engine.Next, row func(i int, logits []float32) error) error {
	n := len(in)
	tokens, seqs, pos := make([]engine.Token, n+1), make([]int32, n+1), make([]int32, n+1)
	for i, x := range in {
		tokens[i], seqs[i], pos[i] = x.Token, int32(x.Seq), int32(x.Pos)
	}
	var rows *C.float
	err := s.run(ctx, "generate", func(e *C.bp_err) C.bp_status {
		return C.bp_step(s.c, (*C.int32_t)(&tokens[0]), (*C.int32_t)(&seqs[0]), (*C.int32_t)(&pos[0]), C.int32_t(n), &rows, e)
	})
	if err != nil {
		return err
	}
	nv := s.model.info.NVocab
	all := unsafe.Slice((*float32)(unsafe.Pointer(rows)), n*nv)
	for i := range in {
		if err := row(i, all[i*nv:(i+1)*nv:(i+1)*nv]); err != nil {
			return err
		}
	}
	return nil
}
