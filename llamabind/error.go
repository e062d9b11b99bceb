package llamabind

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
)

// Code says what kind of failure an [Error] is.
type Code int

// The codes, in the order of bp_status in shim.h.
const (
	BadInput        Code = C.BP_BAD_INPUT        // arguments do not fit the model or the session
	LoadFailed      Code = C.BP_LOAD             // llama.cpp could not load the model
	UnsupportedArch Code = C.BP_UNSUPPORTED_ARCH // the graph cannot be edited; Text says why
	OOM             Code = C.BP_OOM              // a buffer could not be allocated
	Decode          Code = C.BP_DECODE           // llama_decode failed
	StaleCache      Code = C.BP_STALE_CACHE      // a candidate without its captured boundary
	HookNotCalled   Code = C.BP_HOOK_NOT_CALLED  // llama.cpp computed a graph that the edit did not see
	Cancelled       Code = C.BP_CANCELLED        // the context of the call was cancelled
	Internal        Code = C.BP_INTERNAL         // a ggml assertion or an unexpected exception
)

// Error is a failure of the engine. With code [Cancelled], errors.Is(err, context.Canceled) holds.
type Error struct {
	Code Code
	Op   string // what was being done, e.g. "load model"
	Text string // llama.cpp's or the shim's words, one line
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Text) }

// Is makes a cancelled call look like any other cancelled call.
func (e *Error) Is(target error) bool {
	return e.Code == Cancelled && target == context.Canceled
}

func toError(op string, st C.bp_status, e *C.bp_err) error {
	if st == C.BP_OK {
		return nil
	}
	return &Error{Code: Code(st), Op: op, Text: oneLine(C.GoString(&e.text[0]))}
}
