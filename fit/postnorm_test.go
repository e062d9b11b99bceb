package fit

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
)

// plainProduct is an engine that can multiply and nothing else.
type plainProduct struct{ engine.BlockRunner }

func (plainProduct) Product(_ context.Context, _ string, n int, a, b []float32, acc []float64) error {
	ka, kb := len(a)/n, len(b)/n
	for p := range n {
		for i := range ka {
			for j := range kb {
				acc[i*kb+j] += float64(a[p*ka+i]) * float64(b[p*kb+j])
			}
		}
	}
	return nil
}

// Behind the norm the original weights, multiplied with the norm's, make of the features what the block adds, times the square root of L;
// and the target has the length of that, in its own direction.
func TestBehindNorm(t *testing.T) {
	t.Parallel()
	const n, k, d, epsilon = 40, 7, 5, 1e-3
	rng := rand.New(rand.NewPCG(8, 9))
	normals := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(rng.NormFloat64())
		}
		return out
	}
	p := newPart(engine.Block{}, &Projection{Name: "w", In: k, Out: d, Weights: normals(d * k)})
	tap := &engine.Tap{K: k, Features: normals(n * k), Norm: normals(d), Eps: epsilon}
	r := &rows{n: n, stream: normals(n * d), out: make([]float32, n*d), taps: map[*part]*engine.Tap{p: tap}}
	for i := range r.stream {
		r.stream[i] *= 3
	}
	product := func(i int) []float64 {
		z := make([]float64, d)
		for o := range z {
			for j := range k {
				z[o] += float64(p.Weights[o*k+j]) * float64(tap.Features[i*k+j])
			}
		}
		return z
	}
	for i := range n {
		z := product(i)
		normed(tap, z)
		for o, v := range z {
			r.out[i*d+o] = float32(v)
		}
	}
	scaleRows(r.stream, n, tap.Features, r.out)
	target := normals(n * d)
	clear(r.out[:d]) // a position at which the block adds nothing
	clear(target[d : 2*d])
	y := append([]float32(nil), target...)
	roots, err := behindNorm(t.Context(), plainProduct{}, p, r, target)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		z := product(i)
		if i < 2 {
			if f := square(tap.Features[i*k : (i+1)*k]); f != 0 {
				t.Errorf("a position without a direction has features of %v", f)
			}
			continue
		}
		out := r.out[i*d : (i+1)*d]
		if want := math.Sqrt(math.Sqrt(square(y[i*d:(i+1)*d]) / square(out))); math.Abs(roots[i]/want-1) > 1e-6 {
			t.Errorf("root %v, want %v", roots[i], want)
		}
		for o, v := range z {
			if want := roots[i] * float64(out[o]); math.Abs(float64(tap.Norm[o])*v-want) > 1e-4 {
				t.Errorf("position %d: the weights make %v, want %v", i, float64(tap.Norm[o])*v, want)
			}
			if want := float64(y[i*d+o]) / roots[i]; math.Abs(float64(target[i*d+o])-want) > 1e-5 {
				t.Errorf("position %d: target %v, want %v", i, target[i*d+o], want)
			}
		}
		if a, b := square(target[i*d:(i+1)*d]), roots[i]*roots[i]*square(out); math.Abs(a/b-1) > 1e-4 {
			t.Errorf("position %d: the target's square is %v, want %v", i, a, b)
		}
	}
}

func TestNormScale(t *testing.T) {
	t.Parallel()
	got := normScale([]float32{2, -1, 1e-4, 0})
	for o, want := range []float64{2, -1, 0, 0} {
		if got[o] != want {
			t.Errorf("%d: %v, want %v", o, got[o], want)
		}
	}
}
