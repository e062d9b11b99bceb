// Package fittest has a small model for tests of what fits weights, and of searches that count on it.
package fittest

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
)

// Sizes of a Toy: numbers of a stream's position, inputs of an output projection, experts of a block that has some.
const (
	Width    = 6
	Features = 9
	Experts  = 3
)

// Toy is a model of residual blocks x <- x + W tanh(A x), whose loss is the distance of its last stream to the unpruned model's.
type Toy struct {
	blocks []blockmask.Block

	A     [][]float64       // (Features, Width)
	W     [][]float32       // (Width, Features)
	First [][]float32       // W as it was
	Post  map[int]bool      // what the block adds is halved, so that it is more than a product with W
	MoE   map[int]bool      // its weights are those of experts, of which two work on a position
	Flat  bool              // the loss is the same whatever the weights are
	Norm  map[int][]float32 // the weight of an RMS norm behind the product
	Wait  map[int]bool      // the block runs side by side with the next one, and is added together with it
}

// New returns a model of so many layers, the same each time.
func New(layers int) *Toy {
	rng := rand.New(rand.NewPCG(5, 6))
	t := &Toy{Post: map[int]bool{}, MoE: map[int]bool{}, Wait: map[int]bool{}, Norm: map[int][]float32{}}
	for l := range layers {
		for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			t.blocks = append(t.blocks, blockmask.Block{Layer: l, Kind: k})
			a, w := make([]float64, Features*Width), make([]float32, Width*Features)
			for i := range a {
				a[i] = rng.NormFloat64() / 3
			}
			for i := range w {
				w[i] = float32(rng.NormFloat64() / 4)
			}
			t.A, t.W = append(t.A, a), append(t.W, w)
		}
	}
	for _, w := range t.W {
		t.First = append(t.First, slices.Clone(w))
	}
	return t
}

// Blocks implements engine.BlockRunner.
func (t *Toy) Blocks() []blockmask.Block { return t.blocks }

// Name is the name of W[i].
func Name(i int) string { return "w" + string(rune('a'+i)) }

// UseExperts makes block i one of experts, each with weights of its own.
func (t *Toy) UseExperts(i int) {
	rng := rand.New(rand.NewPCG(7, uint64(i)))
	t.MoE[i], t.W[i] = true, make([]float32, Experts*Width*Features)
	for j := range t.W[i] {
		t.W[i][j] = float32(rng.NormFloat64() / 4)
	}
	t.First[i] = slices.Clone(t.W[i])
}

// route says which matrices work on a position, and what their products are multiplied with.
func (t *Toy) route(i int, x []float32) (ids []int32, scale []float32) {
	if !t.MoE[i] {
		return []int32{0}, []float32{1}
	}
	best := int32(0)
	for j := range int32(Experts) {
		if x[j] > x[best] {
			best = j
		}
	}
	return []int32{best, (best + 1) % Experts}, []float32{0.8, 0.5}
}

// apply runs block i on one position, and returns what each of its matrices there is multiplied with, and then the product.
func (t *Toy) apply(i int, x []float32, w []float32) (f []float32, scale []float32, ids []int32) {
	ids, scale = t.route(i, x)
	f = make([]float32, len(ids)*Features)
	for j := range f {
		sum := 0.3 * float64(j/Features)
		for k, v := range x {
			sum += t.A[i][j%Features*Width+k] * float64(v)
		}
		f[j] = float32(math.Tanh(sum))
	}
	product, power := make([]float32, Width), 0.0
	for o := range x {
		for j, v := range f {
			slot := j / Features
			product[o] += scale[slot] * w[(int(ids[slot])*Width+o)*Features+j%Features] * v
		}
		power += float64(product[o]) * float64(product[o])
	}
	for o, v := range product {
		if t.Post[i] {
			v *= 0.5
		}
		if t.Norm[i] != nil {
			v *= t.Norm[i][o] / float32(math.Sqrt(power/Width+eps))
		}
		x[o] += v
	}
	return f, scale, ids
}

// eps is that of the norms.
const eps = 1e-6

// Embed returns the stream before the first block.
func Embed(batch []engine.Sequence) []float32 {
	var out []float32
	for _, q := range batch {
		for _, tok := range q.Tokens {
			rng := rand.New(rand.NewPCG(uint64(tok), 1))
			for range Width {
				out = append(out, float32(rng.NormFloat64()))
			}
		}
	}
	return out
}

// Segment implements engine.BlockRunner.
func (t *Toy) Segment(_ context.Context, batch []engine.Sequence, removed blockmask.Mask, start, stop int, in []float32, taps ...*engine.Tap) ([]float32, error) {
	if start < 0 {
		in, start = Embed(batch), 0
	}
	out := slices.Clone(in)
	for i := start; i < stop; i++ {
		in := slices.Clone(out)
		if i > 0 && t.Wait[i-1] && !removed.Has(t.blocks[i-1]) {
			t.add(i-1, in, out, taps)
		}
		if !t.Wait[i] && !removed.Has(t.blocks[i]) {
			t.add(i, in, out, taps)
		}
	}
	return out, nil
}

// add adds to out what block i makes of the stream in, and fills its tap.
func (t *Toy) add(i int, in, out []float32, taps []*engine.Tap) {
	for p := range len(out) / Width {
		x := slices.Clone(in[p*Width : (p+1)*Width])
		f, scale, ids := t.apply(i, x, t.W[i])
		for o, v := range x {
			if t.Wait[i] || i > 0 && t.Wait[i-1] {
				v = out[p*Width+o] + (v - in[p*Width+o])
			}
			out[p*Width+o] = v
		}
		for _, tap := range taps {
			if tap.Weight != Name(i) {
				continue
			}
			tap.K, tap.Features, tap.Scale = Features, append(tap.Features, f...), append(tap.Scale, scale...)
			tap.Norm, tap.Eps = t.Norm[i], eps
			if t.MoE[i] {
				tap.Used, tap.Experts = len(ids), append(tap.Experts, ids...)
			}
		}
	}
}

// EvalFrom implements engine.BlockRunner.
func (t *Toy) EvalFrom(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, start int, in []float32) ([][]float64, error) {
	got, _ := t.Segment(ctx, batch, removed, start, len(t.blocks), in)
	whole := *t
	whole.W = t.First
	want, _ := whole.Segment(ctx, batch, nil, -1, len(t.blocks), nil)
	var out [][]float64
	at := 0
	for _, q := range batch {
		var row []float64
		for range q.Tokens {
			d := distance(got[at:at+Width], want[at:at+Width])
			if t.Flat {
				d = 1
			}
			row = append(row, d)
			at += Width
		}
		out = append(out, row)
	}
	return out, nil
}

// Product implements engine.BlockRunner.
func (t *Toy) Product(_ context.Context, _ string, n int, a, b []float32, acc []float64) error {
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

// SetWeight implements engine.BlockRunner.
func (t *Toy) SetWeight(weight string, data []byte) error {
	for i := range t.W {
		if Name(i) == weight {
			t.W[i] = Decode(data)
			return nil
		}
	}
	return errors.New("no such weight")
}

// Decode reads the weights of a file of 32-bit floats.
func Decode(data []byte) (out []float32) {
	for i := 0; i < len(data); i += 4 {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
	}
	return out
}

// Encode writes them.
func Encode(w []float32) (out []byte) {
	for _, v := range w {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// Projections implements fit.Weights.
func (t *Toy) Projections(b blockmask.Block) ([]*fit.Projection, string, error) {
	i := slices.Index(t.blocks, b)
	p := &fit.Projection{Name: Name(i), In: Features, Out: Width, Weights: t.First[i], Data: Encode(t.First[i])}
	if t.MoE[i] {
		p.Experts = Experts
	}
	return []*fit.Projection{p}, "", nil
}

// Encode implements fit.Weights.
func (t *Toy) Encode(_ *fit.Projection, weights, _ []float32) ([]byte, error) {
	return Encode(weights), nil
}

// Decode implements fit.Weights.
func (t *Toy) Decode(_ *fit.Projection, data []byte) ([]float32, error) { return Decode(data), nil }

// Grain implements fit.Weights.
func (t *Toy) Grain(*fit.Projection) int { return 1 }

// Spread implements fit.Weights.
func (t *Toy) Spread(*fit.Projection, fit.Narrowed) ([]byte, error) { return nil, nil }

func distance(a, b []float32) (sum float64) {
	for i := range a {
		d := float64(a[i] - b[i])
		sum += d * d
	}
	return sum
}

// Parts returns batches of sequences to fit on and others to choose by.
func Parts() (fitted, held [][]engine.Sequence) {
	token := engine.Token(0)
	for i := range 12 {
		var batch []engine.Sequence
		for range 2 {
			var s engine.Sequence
			for range 10 {
				token++
				s.Tokens = append(s.Tokens, token)
				s.Targets = append(s.Targets, 0)
			}
			batch = append(batch, s)
		}
		if i < 9 {
			fitted = append(fitted, batch)
		} else {
			held = append(held, batch)
		}
	}
	return fitted, held
}
