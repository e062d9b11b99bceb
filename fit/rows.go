package fit

import (
	"context"
	"iter"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/engine"
)

// rows is what one batch gives at one block. All is divided by the size of the unpruned stream at its position.
type rows struct {
	n        int
	residual []float32             // (n, d): what the pruned stream behind the block lacks
	out      []float32             // (n, d): what the block adds, less its biases
	stream   []float32             // (n, d): the unpruned stream, as it is
	taps     map[*part]*engine.Tap // features multiplied with their scale
}

// pass runs batches, those of the held part too where they are wanted, over a block whose parts are tapped. reason says why the block's
// form does not allow a fit.
func (s *state) pass(ctx context.Context, at, stop int, parts []*part, held bool, visit func(*batch, *rows) error) (reason string, err error) {
	for i, x := range s.batches {
		if x.held && !held {
			continue
		}
		r := &rows{n: x.positions(), stream: x.dense, taps: map[*part]*engine.Tap{}}
		var taps []*engine.Tap
		for _, p := range parts {
			t := &engine.Tap{Weight: p.Name}
			taps, r.taps[p] = append(taps, t), t
		}
		after, err := s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned, taps...)
		if err != nil {
			return "", err
		}
		for _, t := range taps {
			if t.Refused != "" {
				return t.Refused, nil
			}
		}
		base := x.pruned
		if s.alone != nil {
			if base, err = s.e.Segment(ctx, x.seqs, s.Removed.Union(s.alone), at, stop, x.pruned); err != nil {
				return "", err
			}
		}
		added := difference(after, base)
		// Once a part is fitted its weights are others than those that were read, and the form has been tested.
		if i == 0 && !slices.ContainsFunc(parts, (*part).fitted) {
			for _, p := range parts {
				p.norm = r.taps[p].Norm
			}
			if reason := linear(parts, added, after, r, s.norms); reason != "" {
				return reason, nil
			}
		}
		r.residual, r.out = difference(x.dense, after), added
		for _, p := range parts {
			r.unbias(p)
			applyScale(r.taps[p])
			scaleRows(x.dense, r.n, r.taps[p].Features)
		}
		scaleRows(x.dense, r.n, r.residual, r.out)
		if err := visit(x, r); err != nil {
			return "", err
		}
	}
	return "", nil
}

// slots yields what a matrix is multiplied with, for one position after the other and for its experts.
func slots(t *engine.Tap) iter.Seq2[int, []float32] {
	return func(yield func(int, []float32) bool) {
		for i := range t.Scale {
			if !yield(i, t.Features[i*t.K:(i+1)*t.K]) {
				return
			}
		}
	}
}

// expert is which matrix works on a slot.
func expert(t *engine.Tap, slot int) int {
	if t.Used == 0 {
		return 0
	}
	return int(t.Experts[slot])
}

// applyScale multiplies the features with the scale.
func applyScale(t *engine.Tap) {
	for slot, f := range slots(t) {
		for i := range f {
			f[i] *= t.Scale[slot]
		}
	}
}

// unbias takes the biases of a part away from what the block adds.
func (r *rows) unbias(p *part) {
	if p.Bias == nil {
		return
	}
	t := r.taps[p]
	for slot, scale := range t.BiasScale {
		e, at := expert(t, slot), slot/max(1, t.Used)
		for o, b := range p.Bias[e*p.Out : (e+1)*p.Out] {
			r.out[at*p.Out+o] -= scale * b
		}
	}
}

// maxNonlinear is how far, in parts of its norm, the product of the tapped features and the weights may be from what the block adds:
// llama.cpp rounds activations to 8 bits for quantised weights.
const maxNonlinear = 0.02

// streamRounding is how far what a block adds may be off in parts of the stream's norm, since both are told apart in single precision.
const streamRounding = 0x1p-22

// linear makes sure, on a few positions, that the block adds the products of its parts to the stream after and nothing else: behind a norm
// the closed form would be another, and with norms it may be.
func linear(parts []*part, added, after []float32, r *rows, norms bool) string {
	d := parts[0].Out
	for _, p := range parts {
		if t := r.taps[p]; p.Out != d || t.K != p.In || (t.Used > 0) != (p.Experts > 0) || len(t.Scale) != r.n*max(1, t.Used) {
			return "its output projections do not have one row for each position"
		}
		if t := r.taps[p]; t.Norm != nil && (!norms || len(parts) > 1 || p.Experts > 0 || len(t.Norm) != d || p.Bias != nil) {
			return "a norm follows its output projection"
		}
	}
	var diff, norm, stream float64
	want := make([]float64, d)
	for i := 0; i < r.n; i += max(1, r.n/8) {
		clear(want)
		for _, p := range parts {
			p.product(r.taps[p], i, want)
			if r.taps[p].Norm != nil {
				normed(r.taps[p], want)
			}
		}
		for o, w := range want {
			got := float64(added[i*d+o])
			diff += (got - w) * (got - w)
			norm += got * got
			stream += float64(after[i*d+o]) * float64(after[i*d+o])
		}
	}
	if !(math.Sqrt(diff) <= maxNonlinear*math.Sqrt(norm)+streamRounding*math.Sqrt(stream)) {
		return "what it adds to the stream is more than its output projection's product"
	}
	return ""
}

// product adds what a part adds to the stream at position i.
func (p *part) product(t *engine.Tap, i int, out []float64) {
	u := max(1, t.Used)
	for slot := i * u; slot < (i+1)*u; slot++ {
		e, f := expert(t, slot), t.Features[slot*t.K:(slot+1)*t.K]
		w := p.matrix(e)
		for o := range out {
			sum := 0.0
			for j, v := range w[o*p.In : (o+1)*p.In] {
				sum += float64(v) * float64(f[j])
			}
			out[o] += float64(t.Scale[slot]) * sum
			if p.Bias != nil {
				out[o] += float64(t.BiasScale[slot]) * float64(p.Bias[e*p.Out+o])
			}
		}
	}
}

// scaleRows divides the rows of some matrices by the root mean square of a stream at their position.
func scaleRows(stream []float32, n int, matrices ...[]float32) {
	d := len(stream) / n
	for i := range n {
		scale := float32(1 / math.Sqrt(square(stream[i*d:(i+1)*d])/float64(d)+1e-12))
		for _, m := range matrices {
			k := len(m) / n
			for j := i * k; j < (i+1)*k; j++ {
				m[j] *= scale
			}
		}
	}
}

func difference(a, b []float32) []float32 {
	out := make([]float32, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func square(a []float32) float64 {
	sum := 0.0
	for _, x := range a {
		sum += float64(x) * float64(x)
	}
	return sum
}

// normed is what a norm makes of a product, in place.
func normed(t *engine.Tap, product []float64) {
	sum := 0.0
	for _, v := range product {
		sum += v * v
	}
	root := math.Sqrt(sum/float64(len(product)) + t.Eps)
	for o := range product {
		product[o] *= float64(t.Norm[o]) / root
	}
}

// set gives the parts other contents; nil: their own.
func (s *state) set(parts []*part, data [][]byte) error {
	for _, x := range s.batches {
		x.next = nil
	}
	for i, p := range parts {
		if data == nil {
			delete(s.res.Weights, p.Name)
			if err := s.e.SetWeight(p.Name, p.Data); err != nil {
				return err
			}
			continue
		}
		s.res.Weights[p.Name] = data[i]
		if err := s.e.SetWeight(p.Name, data[i]); err != nil {
			return err
		}
	}
	return nil
}

// judge runs the held batches through the block as it is now, and returns their loss.
func (s *state) judge(ctx context.Context, at, stop int) (loss float64, err error) {
	for _, x := range s.batches {
		if !x.held {
			continue
		}
		if x.next, err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned); err != nil {
			return 0, err
		}
		residual := difference(x.dense, x.next)
		scaleRows(x.dense, x.positions(), residual)
		loss += square(residual)
	}
	return loss, nil
}

// turned is a (k, n) of a (n, k).
func turned(a []float32, n, k int) []float32 {
	out := make([]float32, len(a))
	for i := range n {
		for j := range k {
			out[j*n+i] = a[i*k+j]
		}
	}
	return out
}

// plusProduct is a stream (n, d) plus a (n, k) times m (k, d).
func plusProduct(ctx context.Context, e engine.BlockRunner, weight string, n int, stream, a, m []float32) ([]float32, error) {
	k := len(a) / n
	product := make([]float64, len(stream))
	if err := e.Product(ctx, weight, k, turned(a, n, k), m, product); err != nil {
		return nil, err
	}
	out := slices.Clone(stream)
	for i, v := range product {
		out[i] += float32(v)
	}
	return out, nil
}
