package repair

import (
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
)

func TestRaisedType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own, asked, want gguf.Type
		row              uint64
		raised           bool
		width            int // of which so many stay
	}{
		{gguf.Q4_0, gguf.Q6_K, gguf.Q6_K, 512, true, 0},
		{gguf.Q4_0, gguf.Q6_K, gguf.Q8_0, 288, true, 0}, // llama-quantize's fall-back
		{gguf.Q4_0, gguf.Q4_K, gguf.Q5_0, 288, true, 0},
		{gguf.Q4_0, gguf.Q4_K, gguf.Q4_K, 256, false, 0},
		{gguf.F32, gguf.Q8_0, gguf.F16, 33, false, 0},
		{gguf.BF16, gguf.F16, gguf.F16, 256, false, 0},
		{gguf.BF16, gguf.F32, gguf.F32, 256, true, 0},
		{gguf.Q8_0, gguf.Q6_K, gguf.Q6_K, 256, false, 0},
		{gguf.Q4_0, gguf.Q6_K, gguf.Q6_K, 512, true, 256},
		{gguf.Q4_0, gguf.Q6_K, gguf.Q8_0, 512, true, 288},
		{gguf.Q4_0, gguf.Q8_0, gguf.F16, 512, true, 33},
	} {
		got, raised := raisedType(gguf.Tensor{Dims: []uint64{c.row, 8}, Type: c.own}, c.asked, c.width)
		if got != c.want || raised != c.raised {
			t.Errorf("%s of rows of %d, %d kept, to %s: %s, %v; want %s, %v", c.own, c.row, c.width, c.asked, got, raised, c.want, c.raised)
		}
	}
}
