package llamabind

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import "unsafe"

// DeviceInfo describes a device of the ggml backends in this build.
type DeviceInfo struct {
	Name, Description string // Name is what --device takes
	Type              string // "cpu", "gpu", "igpu", "accel"
	Free, Total       uint64 // bytes
}

// Devices lists the devices that llama.cpp sees.
func Devices() []DeviceInfo {
	start()
	types := []string{"cpu", "gpu", "igpu", "accel"} // enum ggml_backend_dev_type
	n := int(C.bp_n_devices())
	out := make([]DeviceInfo, n)
	for i := range out {
		var name, desc *C.char
		var typ C.int
		var free, total C.size_t
		C.bp_device(C.size_t(i), &name, &desc, &typ, &free, &total)
		out[i] = DeviceInfo{Name: C.GoString(name), Description: C.GoString(desc), Free: uint64(free), Total: uint64(total)}
		if t := int(typ); t >= 0 && t < len(types) {
			out[i].Type = types[t]
		}
	}
	return out
}

// Version is the version of llama.cpp that is linked in, as it names itself.
func Version() string { return C.GoString(C.bp_llama_version()) }

// addRPC makes the devices of llama.cpp's RPC servers ("host:port") available in this process.
func addRPC(endpoints []string) error {
	for _, e := range endpoints {
		c := C.CString(e)
		var cerr C.bp_err
		st := C.bp_add_rpc(c, &cerr)
		C.free(unsafe.Pointer(c))
		if err := toError("add RPC server", st, &cerr); err != nil {
			return err
		}
	}
	return nil
}
