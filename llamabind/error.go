package llamabind

/*
#include "shim.h"
*/
import "C"

import "github.com/ggufprune/ggufprune/engine"

// The codes of package engine are those of shim.h.
const (
	_ = uint(engine.BadInput-C.BP_BAD_INPUT) + uint(C.BP_BAD_INPUT-engine.BadInput)
	_ = uint(engine.Internal-C.BP_INTERNAL) + uint(C.BP_INTERNAL-engine.Internal)
)

func toError(op string, st C.bp_status, e *C.bp_err) error {
	if st == C.BP_OK {
		return nil
	}
	return &engine.Error{Code: engine.Code(st), Op: op, Text: oneLine(C.GoString(&e.text[0]))}
}
