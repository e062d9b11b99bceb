package llamabind

/*
#include <stdlib.h>
#include "shim.h"

extern void goQuantizeTensor(uintptr_t handle, int32_t i, int32_t n, char * name, int32_t type);

static void tensor_to_go(uintptr_t handle, int32_t i, int32_t n, const char * name, int32_t type) {
	goQuantizeTensor(handle, i, n, (char *) name, type);
}
static bp_status quantize_with_go(const char * in, const char * out, const bp_quantize_params * p, const volatile int32_t * cancel,
                                  uintptr_t handle, bp_err * err) {
	return bp_quantize(in, out, p, cancel, tensor_to_go, handle, err);
}
*/
import "C"

import (
	"context"
	"fmt"
	"math"
	"runtime/cgo"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// FileTypes are the types that llama-quantize knows, in its order, without its aliases Q3_K, Q4_K and Q5_K.
func FileTypes() []engine.FileType {
	var out []engine.FileType
	for _, t := range fileTypes() {
		if _, alias := aliases[t.Name]; !alias {
			out = append(out, t)
		}
	}
	return out
}

var aliases = map[string]string{"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}

func fileTypes() []engine.FileType {
	var out []engine.FileType
	for i := C.int32_t(0); ; i++ {
		var id C.int32_t
		name := C.bp_ftype(i, &id)
		if name == nil {
			return out
		}
		out = append(out, engine.FileType{Name: C.GoString(name), ID: int(id)})
	}
}

// ParseFileType reads a type as llama-quantize does: its name in upper or lower case, or its number.
func ParseFileType(s string) (engine.FileType, error) {
	upper := strings.ToUpper(s)
	if name, ok := aliases[upper]; ok {
		upper = name
	}
	id, err := strconv.Atoi(s)
	var names []string
	for _, t := range FileTypes() {
		if t.Name == upper || err == nil && t.ID == id {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return engine.FileType{}, fmt.Errorf("unknown quantisation type %q; give one of %s", s, strings.Join(names, ", "))
}

// noTargets are the tensor types that ggml_quantize_chunk (ggml.c) has no case for: those of activations, tables and doubles.
var noTargets = []string{"q8_1", "q8_k", "i8", "i16", "i32", "i64", "f64"}

// TensorType is the ggml_type to quantise to with a name such as "q6_K", in upper or lower case; false if there is none.
func TensorType(name string) (uint32, bool) {
	if slices.Contains(noTargets, strings.ToLower(name)) {
		return 0, false
	}
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	t := C.bp_ggml_type(c)
	return uint32(t), t >= 0
}

// QuantizeModel writes the model at in to the file out, with llama.cpp's own quantiser: the same bytes as llama-quantize's. progress,
// which may be nil, is called before tensor i of n, from 1. When ctx ends, it stops before the next tensor. What
// was written of out stays after an error.
//
// An assertion that fails in a thread of the quantiser ends the process: see package internal/quantproc.
func QuantizeModel(ctx context.Context, in, out string, p engine.QuantizeParams, progress func(i, n int, name string)) error {
	return quantize(ctx, in, out, p, false, func(i, n int, name string, _ int32) {
		if progress != nil {
			progress(i, n, name)
		}
	})
}

// QuantizePlan returns what QuantizeModel would make of each tensor, without doing it. It takes no account of what IMatrix
// lacks; see [NeedsIMatrix].
func QuantizePlan(ctx context.Context, in string, p engine.QuantizeParams) ([]engine.QuantizedTensor, error) {
	var out []engine.QuantizedTensor
	err := quantize(ctx, in, "", p, true, func(_, _ int, name string, typ int32) {
		t := engine.QuantizedTensor{Name: name}
		if typ >= 0 {
			t.Type, t.Changed = uint32(typ), true
		}
		out = append(out, t)
	})
	return out, err
}

// NeedsIMatrix reports whether llama.cpp refuses to give a tensor this type, in a file of type ft, without an importance
// matrix: tensor_requires_imatrix of llama-quant.cpp, and ggml_quantize_requires_imatrix of ggml.c, which is an assertion.
func NeedsIMatrix(t engine.QuantizedTensor, ft engine.FileType) bool {
	if !t.Changed {
		return false
	}
	switch name := C.GoString(C.bp_ggml_type_name(C.int32_t(t.Type))); {
	case name == "iq2_xxs", name == "iq2_xs", name == "iq1_s":
		return true
	case t.Name == "token_embd.weight", t.Name == "per_layer_token_embd.weight", t.Name == "output.weight":
		return false
	default:
		return name == "iq3_xxs" || name == "iq2_s" || name == "iq1_m" || name == "q2_K" && ft.Name == "Q2_K_S"
	}
}

// Quantize is QuantizeModel with llama-quantize's name of a type, e.g. "Q4_K_M", for tests and measurements.
func Quantize(in, out, ftype string, threads int) error {
	t, err := ParseFileType(ftype)
	if err != nil {
		return &engine.Error{Code: engine.BadInput, Op: "quantize", Text: err.Error()}
	}
	return QuantizeModel(context.Background(), in, out, engine.QuantizeParams{Type: t, Threads: threads, AllowRequantize: true}, nil)
}

func quantize(ctx context.Context, in, out string, p engine.QuantizeParams, dry bool, tensor func(i, n int, name string, typ int32)) error {
	start()
	const op = "quantize"
	if ctx.Err() != nil {
		return &engine.Error{Code: engine.Cancelled, Op: op, Text: "cancelled"}
	}
	var heap cHeap
	defer heap.free()
	cp := heap.quantizeParams(p)
	cp.dry_run = C.bool(dry)
	cancel := (*C.int32_t)(heap.alloc(1, C.sizeof_int32_t))
	stop := onCancel(ctx, cancel)
	handle := cgo.NewHandle(tensor)
	defer handle.Delete()
	var cerr C.bp_err
	st := C.quantize_with_go(heap.str(in), heap.str(out), cp, cancel, C.uintptr_t(handle), &cerr)
	stop()
	return toError(op, st, &cerr)
}

//export goQuantizeTensor
func goQuantizeTensor(handle C.uintptr_t, i, n C.int32_t, name *C.char, typ C.int32_t) {
	cgo.Handle(handle).Value().(func(i, n int, name string, typ int32))(int(i), int(n), C.GoString(name), int32(typ))
}

// cHeap owns memory of the C heap.
type cHeap struct{ owned []unsafe.Pointer }

func (h *cHeap) alloc(n int, size uintptr) unsafe.Pointer {
	p := C.calloc(C.size_t(max(n, 1)), C.size_t(size))
	h.owned = append(h.owned, p)
	return p
}

func (h *cHeap) str(s string) *C.char {
	c := C.CString(s)
	h.owned = append(h.owned, unsafe.Pointer(c))
	return c
}

func (h *cHeap) free() {
	for _, p := range h.owned {
		C.free(p)
	}
}

func cArray[T any](h *cHeap, n int) []T {
	var t T
	return unsafe.Slice((*T)(h.alloc(n, unsafe.Sizeof(t))), max(n, 1))
}

// quantizeParams copies p to the C heap.
func (h *cHeap) quantizeParams(p engine.QuantizeParams) *C.bp_quantize_params {
	cp := &cArray[C.bp_quantize_params](h, 1)[0]
	cp.ftype, cp.n_threads = C.int32_t(p.Type.ID), C.int32_t(min(p.Threads, math.MaxInt32))
	cp.allow_requantize, cp.leave_output, cp.pure = C.bool(p.AllowRequantize), C.bool(p.LeaveOutput), C.bool(p.Pure)
	cp.output_type, cp.embedding_type = optionalType(p.OutputType), optionalType(p.EmbeddingType)

	entries := cArray[C.bp_imatrix_entry](h, len(p.IMatrix))
	cp.imatrix, cp.n_imatrix = &entries[0], C.int32_t(len(p.IMatrix))
	i := 0
	for name, values := range p.IMatrix {
		data := cArray[float32](h, len(values))
		copy(data, values)
		entries[i] = C.bp_imatrix_entry{name: h.str(name), data: (*C.float)(unsafe.Pointer(&data[0])), size: C.size_t(len(values))}
		i++
	}
	rules := cArray[C.bp_tensor_type](h, len(p.TensorTypes))
	cp.tensor_types, cp.n_tensor_types = &rules[0], C.int32_t(len(p.TensorTypes))
	for i, r := range p.TensorTypes {
		rules[i] = C.bp_tensor_type{pattern: h.str(r.Pattern), _type: C.int32_t(r.Type)}
	}
	kvs := cArray[C.bp_quantize_kv](h, len(p.Metadata))
	cp.kvs, cp.n_kvs = &kvs[0], C.int32_t(len(p.Metadata))
	for i, kv := range p.Metadata {
		kvs[i] = C.bp_quantize_kv{key: h.str(kv.Key), number: C.int64_t(kv.Number)}
		if kv.Text != "" {
			kvs[i].text = h.str(kv.Text)
		}
	}
	return cp
}

func optionalType(t *uint32) C.int32_t {
	if t == nil {
		return -1
	}
	return C.int32_t(*t)
}
