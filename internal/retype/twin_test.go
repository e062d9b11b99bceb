package retype

import (
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

func TestTotalMemory(t *testing.T) {
	t.Parallel()
	devices := []engine.Device{{Type: "gpu", Total: 10}, {Type: "cpu", Total: 100}}
	for _, c := range []struct {
		devices     []engine.Device
		limit, want int64
	}{{devices, 0, 100}, {devices, 40, 40}, {devices, 400, 100}, {nil, 40, 40}, {devices[:1], 0, 0}} {
		if got := memoryWithin(c.devices, c.limit); got != c.want {
			t.Errorf("%v with a limit of %d: %d, want %d", c.devices, c.limit, got, c.want)
		}
	}
}
