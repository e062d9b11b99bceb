package main

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

func TestSubsets(t *testing.T) {
	var blocks []blockmask.Block
	for i := range 12 {
		blocks = append(blocks, blockmask.Block{Layer: i}, blockmask.Block{Layer: i, Kind: blockmask.FFN})
	}
	seen := map[string]bool{}
	for _, m := range subsets(blocks, 4) {
		if len(m) != 4 || seen[m.String()] {
			t.Fatalf("%v twice, or not four blocks", m)
		}
		seen[m.String()] = true
	}
	if len(seen) != 10626 {
		t.Errorf("%d masks of 4 of 24 blocks", len(seen))
	}
}

func TestHalf(t *testing.T) {
	for h, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 0x0001: math.Ldexp(1, -24), 0x8000: 0, 0x7bff: 65504} {
		if got := half(h); got != want {
			t.Errorf("half %#04x is %v, want %v", h, got, want)
		}
	}
}

func TestSquares(t *testing.T) {
	q8 := binary.LittleEndian.AppendUint16(nil, 0x3800) // 0.5
	for i := range 32 {
		q8 = append(q8, byte(int8(i%3-1)))
	}
	f32 := binary.LittleEndian.AppendUint32(nil, math.Float32bits(3))
	for _, c := range []struct {
		typ  gguf.Type
		data []byte
		sum  float64
		n    float64
	}{{gguf.Q8_0, q8, 0.25 * 21, 32}, {gguf.F32, f32, 9, 1}} {
		if sum, n, err := squares(gguf.Tensor{Type: c.typ}, c.data); err != nil || sum != c.sum || n != c.n {
			t.Errorf("%s: %v of %v, %v", c.typ.Name(), sum, n, err)
		}
	}
	if _, _, err := squares(gguf.Tensor{Type: gguf.F16}, nil); err == nil {
		t.Error("F16 is read")
	}
}

// The planted landscape costs little and is searched well, at each depth that the benchmark shows.
func TestPlanted(t *testing.T) {
	for _, layers := range []int{12, 24} {
		cost, behind, err := planted(t.Context(), layers, 64)
		if err != nil || cost > 0.12 || behind > 0.02 {
			t.Errorf("%d layers: cost %.4f, %.4f nats behind greedy, %v", layers, cost, behind, err)
		}
		t.Logf("%d layers: cost %.4f, %.4f nats behind greedy", layers, cost, behind)
	}
}
