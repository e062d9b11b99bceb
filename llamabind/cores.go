package llamabind

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// PhysicalCores is the default number of threads, as llama.cpp chooses it: hyper-threads only get in each other's way.
func PhysicalCores() int {
	siblings, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings")
	seen := map[string]bool{}
	for _, f := range siblings {
		if b, err := os.ReadFile(f); err == nil {
			seen[strings.TrimSpace(string(b))] = true
		}
	}
	if n := len(seen); n > 0 && n < runtime.NumCPU() {
		return n
	}
	return runtime.NumCPU()
}
