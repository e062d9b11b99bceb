package fit

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/engine"
)

// fit is one way to change parts of a block. It collects what every batch gives, and then has candidates.
type fit interface {
	parts() []*part
	method() Method
	add(ctx context.Context, e engine.BlockRunner, held bool, r *rows) error
	// advance ends a run over the batches of the fit, and reports whether there must be another.
	advance(s *state) bool
	// candidates are what could be done, with their held-out losses or with the parts' contents, to be tried. failed says why there is none.
	candidates() (all []candidate, failed string, err error)
	// build makes the contents of the parts; reason says why it cannot.
	build(ctx context.Context, s *state, c candidate) (data [][]byte, reason string, err error)
}

// candidate is one outcome of a fit.
type candidate struct {
	lambda float64
	loss   float64  // on the held part
	data   [][]byte // of each part; nil: made when wanted
}

// dense are the normal equations of a fit with one matrix, on both parts of the text.
type dense struct {
	k, d      int
	fit, held *normal

	// What is held back stays unseen: once weights have seen it, the streams behind them fit it better than other text, and the
	// choices of later blocks are wrong.
	fitOnly bool
}

func (q *dense) advance(*state) bool { return false }

// sum adds n positions with their features and residuals.
func (q *dense) sum(ctx context.Context, e engine.BlockRunner, weight string, held bool, n int, features, residual []float32) error {
	q.begin(ctx, e, weight)
	eq := q.fit
	if held {
		eq = q.held
	}
	eq.n += n
	eq.energy += square(residual)
	if err := e.Product(ctx, weight, n, features, features, eq.g); err != nil {
		return err
	}
	return e.Product(ctx, weight, n, features, residual, eq.c)
}

// gram adds the features of n positions alone, to those of the fit.
func (q *dense) gram(ctx context.Context, e engine.BlockRunner, weight string, n int, features []float32) error {
	if q.fit == nil {
		q.fit = q.empty(ctx, e, weight)
	}
	q.fit.n += n
	return e.Product(ctx, weight, n, features, features, q.fit.g)
}

func (q *dense) begin(ctx context.Context, e engine.BlockRunner, weight string) {
	if q.fit == nil {
		q.fit, q.held = q.empty(ctx, e, weight), q.empty(ctx, e, weight)
	}
}

func (q *dense) empty(ctx context.Context, e engine.BlockRunner, weight string) *normal {
	eq := newNormal(q.k, q.d)
	eq.mul = func(n int, a, b []float32, acc []float64) error { return e.Product(ctx, weight, n, a, b, acc) }
	return eq
}

func (q *dense) candidates() (all []candidate, failed string, err error) {
	c := candidate{}
	c.loss, c.lambda, err = climb(func(lambda float64) (float64, float64, error) {
		x, used, err := q.fit.solve(lambda)
		if err != nil {
			return 0, 0, err
		}
		loss, err := q.held.loss(x)
		return loss, used, err
	})
	if why := unsolvable(""); errors.As(err, &why) {
		return nil, why.Error(), nil
	}
	return []candidate{c}, "", err
}

// equations are those of all of the text, or of what is not held back alone.
func (q *dense) equations() *normal {
	if q.fitOnly {
		return q.fit
	}
	return q.fit.plus(q.held)
}

func (q *dense) solve(lambda float64) (*mat.Dense, error) {
	x, _, err := q.equations().solve(lambda)
	return x, err
}

// fullFit fits every weight of a part with one matrix.
type fullFit struct {
	dense
	p *part
	s *state // of a projection with a norm behind it
}

func newFullFit(p *part, fitOnly bool) *fullFit {
	return &fullFit{dense: dense{k: p.In, d: p.Out, fitOnly: fitOnly}, p: p}
}

func (f *fullFit) parts() []*part { return []*part{f.p} }
func (f *fullFit) method() Method { return Full }

func (f *fullFit) advance(s *state) bool {
	f.s = s
	return false
}

func (f *fullFit) add(ctx context.Context, e engine.BlockRunner, held bool, r *rows) error {
	if f.p.norm != nil {
		return f.sumNormed(ctx, e, held, r)
	}
	return f.sum(ctx, e, f.p.Name, held, r.n, r.taps[f.p].Features, r.residual)
}

func (f *fullFit) candidates() (all []candidate, failed string, err error) {
	if f.p.norm != nil {
		return f.normedCandidates()
	}
	return f.dense.candidates()
}

func (f *fullFit) build(_ context.Context, s *state, c candidate) ([][]byte, string, error) {
	equations := f.equations()
	x, lambda, err := equations.solve(c.lambda)
	if why := unsolvable(""); errors.As(err, &why) {
		return nil, why.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	var weights []float32
	if f.p.norm != nil {
		weights = f.normedWeights(x)
	} else {
		weights = plusTransposed(f.p.Weights, x)
	}
	data, err := s.rounded(f.p.Projection, weights, s.importance(f.p, 0), equations, lambda)
	return [][]byte{data}, "", err
}

// plusTransposed is W + X^T: W is (d, k), X (k, d).
func plusTransposed(w []float32, x *mat.Dense) []float32 {
	k, d := x.Dims()
	out := make([]float32, d*k)
	for i := range k {
		for j, v := range x.RawRowView(i) {
			out[j*k+i] = w[j*k+i] + float32(v)
		}
	}
	return out
}

// mapFit fits a map of what the block adds to the stream, which all of its matrices are then multiplied with.
type mapFit struct {
	dense
	all []*part
}

func newMapFit(all []*part, fitOnly bool) *mapFit {
	return &mapFit{dense{k: all[0].Out, d: all[0].Out, fitOnly: fitOnly}, all}
}

func (f *mapFit) parts() []*part { return f.all }
func (f *mapFit) method() Method { return Map }

func (f *mapFit) add(ctx context.Context, e engine.BlockRunner, held bool, r *rows) error {
	return f.sum(ctx, e, f.all[0].Name, held, r.n, r.out, r.residual)
}

func (f *mapFit) candidates() (all []candidate, failed string, err error) {
	if f.all[0].norm != nil {
		return nil, "a norm follows its output projection, which a map has no form for", nil
	}
	return f.dense.candidates()
}

func (f *mapFit) build(ctx context.Context, s *state, c candidate) (data [][]byte, reason string, err error) {
	x, err := f.solve(c.lambda)
	if why := unsolvable(""); errors.As(err, &why) {
		return nil, why.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	d := f.all[0].Out
	m := make([]float32, d*d)
	for i, v := range x.RawMatrix().Data {
		m[i] = float32(v)
	}
	for _, p := range f.all {
		var bytes []byte
		for e := range p.matrices() {
			w := p.matrix(e)
			change := make([]float64, len(w)) // X^T W
			if err := s.e.Product(ctx, p.Name, d, m, w, change); err != nil {
				return nil, "", err
			}
			changed := make([]float32, len(w))
			for i, v := range change {
				changed[i] = w[i] + float32(v)
			}
			one, err := s.encode(p, e, changed)
			if err != nil {
				return nil, "", err
			}
			bytes = append(bytes, one...)
		}
		data = append(data, bytes)
	}
	return data, "", nil
}

// count adds up how strong the part's inputs are.
func (p *part) count(t *engine.Tap) {
	for slot, f := range slots(t) {
		e := expert(t, slot)
		p.rows[e]++
		for i, v := range f {
			p.power[e*p.In+i] += float64(v) * float64(v)
		}
	}
}

// encode encodes the e-th matrix of a part.
func (s *state) encode(p *part, e int, weights []float32) ([]byte, error) {
	return s.w.Encode(p.Projection, weights, s.importance(p, e))
}

// importance is the mean square of each input of the e-th matrix of a part. An expert that no position came to is rounded by what came to
// the others.
func (s *state) importance(p *part, e int) []float32 {
	power, rows := p.power[e*p.In:(e+1)*p.In], p.rows[e]
	if rows == 0 {
		power = make([]float64, p.In)
		for i, v := range p.power {
			power[i%p.In] += v
		}
		for _, n := range p.rows {
			rows += n
		}
	}
	importance := make([]float32, p.In)
	for i := range importance {
		importance[i] = float32(power[i] / math.Max(1, float64(rows)))
	}
	return importance
}
