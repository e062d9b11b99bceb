package llamabind

/*
#include "shim.h"
*/
import "C"

import "context"

// newCancel returns a flag that the shim's calls poll. C reads it from threads of its own, so it lives on the C heap and is set by C
// alone. Free it with C.bp_cancel_free, after what was opened with it.
func newCancel() *C.bp_cancel {
	c := C.bp_cancel_new()
	if c == nil {
		panic("llamabind: out of memory") // as C.CString does
	}
	return c
}

// onCancel clears flag, and sets it when ctx ends. The returned function detaches it and waits until flag is no longer touched.
func onCancel(ctx context.Context, flag *C.bp_cancel) (stop func()) {
	C.bp_cancel_clear(flag)
	done := make(chan struct{})
	detach := context.AfterFunc(ctx, func() {
		C.bp_cancel_set(flag)
		close(done)
	})
	return func() {
		if !detach() {
			<-done
		}
	}
}
