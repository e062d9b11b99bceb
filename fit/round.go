package fit

import (
	"errors"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// roundRidge is what is added to H's diagonal for rounding where no lambda is known, in parts of its mean.
const roundRidge = 0.01

// roundSweeps is how often each block of columns is rounded again once all are: the loss falls to less than half, most of it at first.
const roundSweeps = 3

// rounded encodes W (d, k) by p's type so that the features lose as little as may be, as GPTQ does (arXiv 2210.17323), but with all weights
// of a row that the type encodes together rounded at once: any of ggml's types will do. What the sum over all positions loses is, with
// A = H + ridge = L L^T,
//
//	tr((W - Q) A (W - Q)^T) = |(W - Q) L|^2
//
// whose columns are made small from the last to the first: those of block B, with E_i = W_i - Q_i of the blocks behind it, by rounding
//
//	W_B + (sum over i > B of E_i L_iB) L_BB^-1
//
// Then each block is rounded again, now that all the others are known. Where A is no good for that, the weights are rounded as they are.
func (s *state) rounded(p *Projection, weights, importance []float32, h *normal, lambda float64) ([]byte, error) {
	k, grain := p.In, s.w.Grain(p)
	if h == nil || grain == 1 || k%grain != 0 || s.Trial {
		return s.w.Encode(p, weights, importance)
	}
	if lambda == 0 {
		lambda = roundRidge
	}
	l, err := h.factor(lambda)
	if errors.Is(err, errIndefinite) {
		return s.w.Encode(p, weights, importance)
	}
	if err != nil {
		return nil, err
	}
	r := &rounding{
		w: s.w, p: p, h: h, l: l, ridge: lambda * (h.meanDiagonal() + h.prior), n: grain,
		weights: weights, importance: importance, lost: make([]float32, k*p.Out), blocks: make([][]byte, k/grain),
	}
	for at := k - grain; at >= 0; at -= grain {
		if err := r.first(at); err != nil {
			return nil, err
		}
	}
	for range roundSweeps {
		for at := 0; at < k; at += grain {
			if err := r.again(at); err != nil {
				return nil, err
			}
		}
	}
	return r.data(), nil
}

// factor is L of H + lambda mean(diag) I = L L^T: the lower triangle of (k, k); errIndefinite if that cannot be trusted.
func (a *normal) factor(lambda float64) (l []float64, err error) {
	l = slices.Clone(a.g)
	added := lambda * (a.meanDiagonal() + a.prior)
	for i := range a.k {
		l[i*a.k+i] += added
	}
	if a.mul != nil && a.k >= blockedFrom {
		f, err := factorize(l, a.k, blockRows, a.mul)
		if err == nil && !(f.spread() <= maxCondition) {
			err = errIndefinite
		}
		return l, err
	}
	var ch mat.Cholesky
	if !ch.Factorize(mat.NewSymDense(a.k, l)) || ch.Cond() > maxCondition {
		return nil, errIndefinite
	}
	var t mat.TriDense
	ch.LTo(&t)
	return t.RawTriangular().Data, nil
}

// rounding rounds one block of n columns after the other.
type rounding struct {
	w          Weights
	p          *Projection
	h          *normal
	ridge      float64
	n          int
	l          []float64 // (k, k), lower
	weights    []float32
	importance []float32
	lost       []float32 // (k, d): W - Q of the columns that are rounded
	blocks     [][]byte  // what is encoded of all rows
}

// first rounds the columns from at on, when those behind them are.
func (r *rounding) first(at int) error {
	n := r.n
	diagonal := mat.NewTriDense(n, mat.Lower, nil)
	for i := range n {
		for j := range i + 1 {
			diagonal.SetTri(i, j, r.l[(at+i)*r.p.In+at+j])
		}
	}
	owed, err := r.product(r.l, at, at+n)
	if err != nil {
		return err
	}
	var move mat.Dense // L_BB^T move = owed
	if err := diagonal.SolveTo(&move, true, owed); err != nil {
		return err
	}
	return r.round(at, &move, nil)
}

// again rounds the columns from at on once more, where that is nearer to what the others lack.
func (r *rounding) again(at int) error {
	n, k, d := r.n, r.p.In, r.p.Out
	owed, err := r.product(r.h.g, at, 0)
	if err != nil {
		return err
	}
	metric := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			metric.SetSym(i, j, r.h.g[(at+i)*k+at+j])
		}
	}
	var own mat.Dense
	own.Mul(metric, mat.NewDense(n, d, doubles(r.lost[at*d:(at+n)*d])))
	owed.Sub(owed, &own)
	for i := range n {
		metric.SetSym(i, i, metric.At(i, i)+r.ridge)
	}
	var ch mat.Cholesky
	var move mat.Dense
	if !ch.Factorize(metric) || ch.SolveTo(&move, owed) != nil {
		return nil
	}
	return r.round(at, &move, metric)
}

// product is M_:B^T E, (n, d), over the rows of M (k, k) from from on, for the columns B from at on.
func (r *rounding) product(m []float64, at, from int) (*mat.Dense, error) {
	n, k, d := r.n, r.p.In, r.p.Out
	rows := k - from
	sum := mat.NewDense(n, d, nil)
	if rows == 0 {
		return sum, nil
	}
	if r.h.mul != nil && k >= productFrom {
		part := make([]float32, 0, rows*n)
		for i := from; i < k; i++ {
			for _, v := range m[i*k+at : i*k+at+n] {
				part = append(part, float32(v))
			}
		}
		return sum, r.h.mul(rows, part, r.lost[from*d:], sum.RawMatrix().Data)
	}
	part := mat.NewDense(rows, n, nil)
	for i := range rows {
		part.SetRow(i, m[(from+i)*k+at:(from+i)*k+at+n])
	}
	sum.Mul(part.T(), mat.NewDense(rows, d, doubles(r.lost[from*d:])))
	return sum, nil
}

// round rounds the columns from at on, moved by move (n, d). With a metric the columns are rounded already: then only
// rows change that get better, by [rounding.weigh].
func (r *rounding) round(at int, move *mat.Dense, metric mat.Matrix) error {
	n, k, d := r.n, r.p.In, r.p.Out
	part := &Projection{Name: r.p.Name, In: n, Out: d}
	wanted := make([]float32, d*n)
	for o := range d {
		for i := range n {
			wanted[o*n+i] = r.weights[o*k+at+i] + float32(move.At(i, o))
		}
	}
	data, err := r.w.Encode(part, wanted, r.importance[at:at+n])
	if err != nil {
		return err
	}
	got, err := r.w.Decode(part, data)
	if err != nil {
		return err
	}
	gap := mat.NewDense(n, d, nil)
	for o := range d {
		for i := range n {
			gap.Set(i, o, float64(r.weights[o*k+at+i])-float64(got[o*n+i]))
		}
	}
	if metric != nil {
		was := r.blocks[at/n]
		size := len(was) / d
		before, after := r.weigh(at, nil, move, metric), r.weigh(at, gap, move, metric)
		for o := range d {
			if !(after[o] < before[o]) {
				copy(data[o*size:(o+1)*size], was[o*size:])
				for i := range n {
					gap.Set(i, o, float64(r.lost[(at+i)*d+o]))
				}
			}
		}
	}
	r.blocks[at/n] = data
	copy(r.lost[at*d:], singles(gap.RawMatrix().Data, 1))
	return nil
}

// weigh is e metric e^T for each row e of W + move - Q, where W - Q is gap (n, d); gap nil is what is lost of the columns from at on now.
func (r *rounding) weigh(at int, gap, move *mat.Dense, metric mat.Matrix) []float64 {
	n, d := r.n, r.p.Out
	if gap == nil {
		gap = mat.NewDense(n, d, doubles(r.lost[at*d:(at+n)*d]))
	}
	var e, product mat.Dense
	e.Add(gap, move)
	product.Mul(metric, &e)
	product.MulElem(&product, &e)
	loss := make([]float64, d)
	for i := range n {
		for o, v := range product.RawRowView(i) {
			loss[o] += v
		}
	}
	return loss
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// data are the rows, each with all blocks.
func (r *rounding) data() []byte {
	size := len(r.blocks[0]) / r.p.Out
	out := make([]byte, 0, len(r.blocks)*size*r.p.Out)
	for o := range r.p.Out {
		for _, b := range r.blocks {
			out = append(out, b[o*size:(o+1)*size]...)
		}
	}
	return out
}
