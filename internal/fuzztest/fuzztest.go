// Package fuzztest has what the fuzz targets of readers of foreign bytes have in common: bounds of memory and time, and what an error
// may look like.
package fuzztest

import (
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

const (
	leastBound = 64 << 20         // bytes that a reader may take of any input
	slow       = 20 * time.Second // far more than what the fuzzer makes takes on a busy machine
)

// Bounded runs do, which reads n bytes, and fails t where that allocates more than 2n bytes or 64 MiB, whichever is more, or takes
// 20 seconds. (While it fuzzes, Go takes an input of ten for one that hangs.) Memory counts whether it was freed or not, in the whole
// process, so callers are not parallel.
func Bounded(t testing.TB, n int, do func()) {
	t.Helper()
	begun, before := time.Now(), allocated()
	do()
	if took := time.Since(begun); took > slow {
		t.Errorf("%d bytes took %v to read", n, took)
	}
	if most := max(2*uint64(n), leastBound); allocated()-before > most {
		t.Errorf("%d bytes took %d bytes of memory to read, more than %d", n, allocated()-before, most)
	}
}

// allocated counts the bytes that this process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// OneLine fails t where err is nil, or is no line of a few hundred bytes. quoted is how many bytes of it may be names that the user
// gave, such as a file's path, and lists of such names.
func OneLine(t testing.TB, err error, quoted int) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("neither a result nor an error")
	case err.Error() == "" || strings.ContainsAny(err.Error(), "\r\n"):
		t.Errorf("an error of more lines than one: %q", err)
	case len(err.Error()) > 700+quoted:
		t.Errorf("an error of %d bytes: %.800q", len(err.Error()), err)
	}
}
