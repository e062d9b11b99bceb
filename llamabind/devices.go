package llamabind

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/ggufprune/ggufprune/engine"
)

// Devices lists the devices that llama.cpp sees.
func Devices() []engine.Device {
	start()
	types := []string{"cpu", "gpu", "igpu", "accel"} // enum ggml_backend_dev_type
	n := int(C.bp_n_devices())
	out := make([]engine.Device, n)
	for i := range out {
		var name, desc *C.char
		var typ C.int
		var free, total C.size_t
		C.bp_device(C.size_t(i), &name, &desc, &typ, &free, &total)
		out[i] = engine.Device{Name: C.GoString(name), Description: C.GoString(desc), Free: uint64(free), Total: uint64(total)}
		if t := int(typ); t >= 0 && t < len(types) {
			out[i].Type = types[t]
		}
	}
	return out
}

// checkMainGPU returns an error for a GPU that is not there: llama.cpp looks at the number only where it splits nothing.
func checkMainGPU(n int) error {
	gpus := 0
	for _, d := range Devices() {
		if d.Type == "gpu" || d.Type == "igpu" {
			gpus++
		}
	}
	if n == 0 || n < gpus {
		return nil
	}
	return &engine.Error{Code: engine.BadInput, Op: "load model", Text: fmt.Sprintf("main GPU %d does not exist: there are %d; ggufprune version lists them", n, gpus)}
}

// addRPC makes the devices of llama.cpp's RPC servers ("host:port") available in this process.
func addRPC(endpoints []string) error {
	for _, e := range endpoints {
		c := C.CString(e)
		var cerr C.bp_err
		st := C.bp_add_rpc(c, &cerr)
		C.free(unsafe.Pointer(c))
		if engine.Code(st) == engine.Internal { // ggml asserts that the server answers
			return &engine.Error{Code: engine.LoadFailed, Op: "add RPC server", Text: fmt.Sprintf("nothing at %s answers as llama.cpp's rpc-server does; start one there", e)}
		}
		if err := toError("add RPC server", st, &cerr); err != nil {
			return err
		}
	}
	return nil
}
