package tensors

import (
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
)

// Rows of a part are counted from the part's beginning.
func TestPartFrom(t *testing.T) {
	t.Parallel()
	if got := (Part{Rows: 3}).from(5); !slices.Equal(got, []int64{5, 6, 7}) {
		t.Errorf("rows %v without an order", got)
	}
	backwards := Part{Rows: 3, Order: func(r int) int { return 2 - r }}
	if got := backwards.from(5); !slices.Equal(got, []int64{7, 6, 5}) {
		t.Errorf("rows %v backwards", got)
	}
}

func TestHalfToFloat32(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		sign, exp, frac := h>>15, h>>10&0x1f, h&0x3ff
		want := math.Ldexp(1+float64(frac)/1024, exp-15)
		switch {
		case exp == 0:
			want = math.Ldexp(float64(frac)/1024, -14)
		case exp == 31 && frac == 0:
			want = math.Inf(1)
		case exp == 31:
			want = math.NaN()
		}
		if sign == 1 {
			want = -want
		}
		got := float64(halfToFloat32(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%#04x is %g, want %g", h, got, want)
		}
	}
}

func TestToFloat32(t *testing.T) {
	t.Parallel()
	for typ, raw := range map[gguf.Type][]byte{
		gguf.F32: {0, 0, 0x20, 0xc0}, gguf.F16: {0, 0xc1}, gguf.BF16: {0x20, 0xc0},
	} {
		v, err := toFloat32(raw, typ)
		if err != nil || !slices.Equal(v, []float32{-2.5}) {
			t.Errorf("%s: %v, %v; want -2.5", typ, v, err)
		}
	}
	if _, err := toFloat32(make([]byte, 34), gguf.Q8_0); err == nil {
		t.Error("Q8_0 was decoded as plain numbers")
	}
}
