package engine

import (
	"context"
	"fmt"
)

// Code says what kind of failure an [Error] is.
type Code int

// The codes, in the order of bp_status in llamabind/shim.h.
const (
	BadInput        Code = iota + 1 // arguments do not fit the model or the session
	LoadFailed                      // llama.cpp could not load the model
	UnsupportedArch                 // the graph cannot be edited; Text says why
	OOM                             // a buffer could not be allocated
	Decode                          // llama_decode failed
	StaleCache                      // a candidate without its captured boundary
	HookNotCalled                   // llama.cpp computed a graph that the edit did not see
	Cancelled                       // the context of the call was cancelled
	Internal                        // a ggml assertion or an unexpected exception
)

// Error is a failure of the runtime. With code [Cancelled], errors.Is(err, context.Canceled) holds.
type Error struct {
	Code Code
	Op   string // what was being done, e.g. "load model"
	Text string // the runtime's words, one line
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Text) }

// Is makes a cancelled call look like any other cancelled call.
func (e *Error) Is(target error) bool {
	return e.Code == Cancelled && target == context.Canceled
}
