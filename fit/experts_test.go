package fit

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

const (
	width    = 6
	features = 9
)

// products is what a fit needs of an engine and of weights.
type products struct {
	engine.BlockRunner
	Weights
}

func (products) Product(_ context.Context, _ string, n int, a, b []float32, acc []float64) error {
	ka, kb := len(a)/n, len(b)/n
	for i := range acc {
		for p := range n {
			acc[i] += float64(a[p*ka+i/kb]) * float64(b[p*kb+i%kb])
		}
	}
	return nil
}

func (products) Encode(_ *Projection, weights, _ []float32) ([]byte, error) {
	return encoded(weights), nil
}

func encoded(weights []float32) (out []byte) {
	for _, w := range weights {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(w))
	}
	return out
}

// With one expert for each position, and a residual that new weights take away, those are what is found.
func TestExpertsFindThePlantedChange(t *testing.T) {
	t.Parallel()
	const n = 600
	rng := rand.New(rand.NewPCG(1, 9))
	normals := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(rng.NormFloat64())
		}
		return out
	}
	p := newPart(blockmask.Block{}, &Projection{
		Name: "w", In: features, Out: width, Experts: 4,
		Weights: normals(4 * width * features),
	})
	p.Data = encoded(p.Weights)
	planted := normals(3 * width * features) // expert 3 has no position
	tap := &engine.Tap{K: features, Used: 1, Features: normals(n * features), Scale: make([]float32, n)}
	r := &rows{n: n, residual: make([]float32, n*width), taps: map[*part]*engine.Tap{p: tap}}
	for i := range n {
		e := i % 3
		tap.Scale[i] = float32(0.5 + rng.Float64())
		tap.Experts = append(tap.Experts, int32(e))
		for o := range width {
			for j := range features {
				r.residual[i*width+o] += tap.Scale[i] * planted[(e*width+o)*features+j] * tap.Features[i*features+j]
			}
		}
	}
	applyScale(tap)
	p.count(tap)
	for _, group := range []int{4, 3, 1} {
		f := newExpertsFit(p)
		f.group = group
		passes := 0
		for more := true; more; more = f.advance(&state{w: products{}}) {
			passes++
			if err := f.add(t.Context(), products{}, false, r); err != nil {
				t.Fatal(err)
			}
		}
		if want := (4 + group - 1) / group; passes != want {
			t.Errorf("%d experts at once took %d passes, want %d", group, passes, want)
		}
		all, failed, err := f.candidates()
		if err != nil || failed != "" || len(all) != len(ExpertLambdas) {
			t.Fatal(all, failed, err)
		}
		got := make([]float32, 4*width*features)
		for i := range got {
			got[i] = math.Float32frombits(binary.LittleEndian.Uint32(all[0].data[0][4*i:]))
		}
		size := width * features
		if !slices.Equal(got[3*size:], p.Weights[3*size:]) {
			t.Error("the expert without a position was changed")
		}
		// lambda 0.1 with a prior of 9 on 200 positions takes a tenth off.
		var diff, norm float64
		for i, v := range planted {
			d := float64(got[i]-p.Weights[i]) - float64(v)
			diff += d * d
			norm += float64(v) * float64(v)
		}
		if rel := math.Sqrt(diff / norm); rel > 0.15 || rel < 0.05 {
			t.Errorf("%d experts at once: relative error %g", group, rel)
		}
	}
}
