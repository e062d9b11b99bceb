package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"

	"github.com/ggufprune/ggufprune/engine"
)

// Generate continues prompt greedily by up to n tokens, in an unedited context of its own.
func (m *Model) Generate(ctx context.Context, prompt string, n, threads int) (string, error) {
	toks, err := m.Tokenize(prompt, true, true)
	if err != nil {
		return "", err
	}
	if len(toks) == 0 {
		return "", &engine.Error{Code: engine.BadInput, Op: "generate", Text: "the prompt is empty"}
	}
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: 1, SeqLen: len(toks) + n, Threads: threads, Unedited: true})
	if err != nil {
		return "", err
	}
	defer s.Close()
	out := make([]engine.Token, max(n, 1))
	var got C.int32_t
	err = s.run(ctx, "generate", func(e *C.bp_err) C.bp_status {
		return C.bp_generate(s.c, (*C.int32_t)(&toks[0]), C.int32_t(len(toks)), (*C.int32_t)(&out[0]), C.int32_t(n), &got, e)
	})
	if err != nil {
		return "", err
	}
	text := ""
	for _, t := range out[:got] {
		text += m.Piece(t, false)
	}
	return text, nil
}
