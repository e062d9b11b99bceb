package fit

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
)

// coarse encodes four weights of a row together: a scale and sixteen steps.
type coarse struct{}

func (coarse) Projections(blockmask.Block) ([]*Projection, string, error) { return nil, "", nil }
func (coarse) Grain(*Projection) int                                      { return 4 }
func (coarse) Spread(*Projection, Narrowed) ([]byte, error)               { return nil, nil }
func (coarse) Encode(_ *Projection, w, _ []float32) (data []byte, _ error) {
	for block := range slices.Chunk(w, 4) {
		most := float32(0)
		for _, v := range block {
			most = max(most, float32(math.Abs(float64(v))))
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(most/7))
		for _, v := range block {
			data = append(data, byte(int8(math.Round(float64(v/max(most/7, 1e-9))))))
		}
	}
	return data, nil
}

func (coarse) Decode(_ *Projection, data []byte) (w []float32, _ error) {
	for block := range slices.Chunk(data, 8) {
		scale := math.Float32frombits(binary.LittleEndian.Uint32(block))
		for _, q := range block[4:] {
			w = append(w, scale*float32(int8(q)))
		}
	}
	return w, nil
}

// mixtures are equations of k features that are mixtures of fewer.
func mixtures(k, d int, rng *rand.Rand) *normal {
	h := newNormal(k, d)
	mix := make([]float64, k*k/4)
	for i := range mix {
		mix[i] = rng.NormFloat64()
	}
	for range 2 * k {
		f := make([]float64, k)
		for j := range k / 4 {
			x := rng.NormFloat64()
			for i := range f {
				f[i] += x * mix[j*k+i]
			}
		}
		for i := range f {
			f[i] += rng.NormFloat64()
			for j := range i + 1 {
				h.g[i*k+j] += f[i] * f[j]
			}
		}
	}
	for i := range k {
		for j := range i {
			h.g[j*k+i] = h.g[i*k+j]
		}
	}
	return h
}

// Rounding that later columns make up for loses much less than rounding each weight for itself, and as much where nothing is correlated;
// by gonum and on an engine.
func TestRounded(t *testing.T) {
	t.Parallel()
	for _, k := range []int{64, productFrom + 64} {
		const d = 12
		rng := rand.New(rand.NewPCG(7, uint64(k)))
		p := &Projection{In: k, Out: d}
		w := make([]float32, k*d)
		for i := range w {
			w[i] = float32(rng.NormFloat64())
		}
		s := &state{w: coarse{}}
		loss := func(h *normal, with *normal) float64 {
			t.Helper()
			data, err := s.rounded(p, w, make([]float32, k), with, 0.01)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.w.Decode(p, data)
			if err != nil || len(got) != len(w) {
				t.Fatalf("%d weights: %v", len(got), err)
			}
			sum := 0.0
			for o := range d {
				for i := range k {
					e := float64(w[o*k+i] - got[o*k+i])
					for j := range k {
						sum += e * h.g[i*k+j] * float64(w[o*k+j]-got[o*k+j])
					}
				}
			}
			return sum
		}
		h := mixtures(k, d, rng)
		plain, made := loss(h, nil), loss(h, h)
		if !(made < 0.25*plain) {
			t.Errorf("%d features: loses %v, %v where each weight is rounded for itself", k, made, plain)
		}
		h.mul = rounded
		if on := loss(h, h); math.Abs(on/made-1) > 0.02 {
			t.Errorf("%d features: loses %v on an engine, %v without", k, on, made)
		}
		alone := newNormal(k, d)
		for i := range k {
			alone.g[i*k+i] = 1 + rng.Float64()
		}
		if plain, made := loss(alone, nil), loss(alone, alone); plain != made {
			t.Errorf("%d features that are not correlated: %v and %v", k, made, plain)
		}
	}
}
