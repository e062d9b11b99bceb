package llamabind

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import "unsafe"

// How memory crosses to C, in this package:
//
//   - texts, and structs with pointers in them, are copied to an [arena], which is freed after the call;
//   - numbers go as the address of a Go slice's first ([floatPtr] and its kind), which cgo pins for the call: C keeps none of them;
//   - what C lends until the next call is read in place, with [borrow].

// arena owns memory on the C heap that C reads during one call. The zero arena is empty.
type arena struct{ owned []unsafe.Pointer }

func (a *arena) free() {
	for _, p := range a.owned {
		C.free(p)
	}
	a.owned = nil
}

// str copies s and ends it with a zero byte. C sees it cut at the first zero byte of its own, unless it is told the length.
func (a *arena) str(s string) *C.char {
	c := C.CString(s)
	a.owned = append(a.owned, unsafe.Pointer(c))
	return c
}

// strs copies an array of texts; it is never nil.
func (a *arena) strs(s []string) **C.char {
	out := array[*C.char](a, len(s))
	for i := range s {
		out[i] = a.str(s[i])
	}
	return unsafe.SliceData(out)
}

// floats copies an array of floats; it is never nil.
func (a *arena) floats(f []float32) *C.float {
	out := array[float32](a, len(f))
	copy(out, f)
	return floatPtr(out)
}

// array is n zeroed values on the C heap. Its address is never nil.
func array[T any](a *arena, n int) []T {
	var t T
	size := max(n, 1) * int(unsafe.Sizeof(t))
	p := C.malloc(C.size_t(size)) // never nil: cgo ends the process first
	clear(unsafe.Slice((*byte)(p), size))
	a.owned = append(a.owned, p)
	return unsafe.Slice((*T)(p), max(n, 1))[:n]
}

// borrow reads n values that belong to C, for as long as C lets them be.
func borrow[To, From any](p *From, n int) []To { return unsafe.Slice((*To)(unsafe.Pointer(p)), n) }

func floatPtr(f []float32) *C.float   { return (*C.float)(unsafe.Pointer(unsafe.SliceData(f))) }
func doublePtr(f []float64) *C.double { return (*C.double)(unsafe.Pointer(unsafe.SliceData(f))) }

// intPtr takes tokens, too.
func intPtr[T ~int32](n []T) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(n))) }

// bytePtr is nil where there are no bytes: no mask.
func bytePtr(b []byte) *C.uint8_t {
	if len(b) == 0 {
		return nil
	}
	return (*C.uint8_t)(unsafe.Pointer(&b[0]))
}
