package fit

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// roundRidge is what is added to H's diagonal for rounding where no lambda is known, in parts of its mean.
const roundRidge = 0.01

// roundSweeps is how often each block of columns is rounded again once all are: the loss falls to less than half, most of it at first.
const roundSweeps = 3

// roundGroup is how many columns, or as few more as a type asks for, are told at once what all others lost: products of large matrices.
const roundGroup = 256

// rounded encodes W (d, k) by p's type so that the features lose as little as may be, as GPTQ does (arXiv 2210.17323), but with all weights
// of a row that the type encodes together rounded at once: any of ggml's types will do. (Some of llama.cpp's quantisers weigh by the mean
// square of a whole row; here they see that of a block.) What the sum over all positions loses is, with A = H + ridge = L L^T,
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
	if h == nil || grain == 1 || k%grain != 0 {
		return s.w.Encode(p, weights, importance)
	}
	l, ridge, err := h.factor(cmp.Or(lambda, roundRidge))
	if err != nil {
		return nil, err
	}
	if l == nil {
		return s.w.Encode(p, weights, importance)
	}
	r := &rounding{w: s.w, p: p, h: h, n: grain, weights: weights, importance: importance, lost: make([]float32, k*p.Out), blocks: make([][]byte, k/grain)}
	group := max(grain, roundGroup/grain*grain)
	for to := k; to > 0; to -= group {
		if err := r.first(l, max(0, to-group), to); err != nil {
			return nil, err
		}
	}
	sweeps := roundSweeps
	if s.Trial {
		sweeps = 1
	}
	for range sweeps {
		for from := 0; from < k; from += group {
			if err := r.again(ridge, from, min(k, from+group)); err != nil {
				return nil, err
			}
		}
	}
	return r.data(), nil
}

// factor is L of H + ridge I = L L^T, the lower triangle of (k, k), with ridge = lambda mean(diag) or, where that cannot be trusted, more; nil
// where no ridge helps.
func (a *normal) factor(lambda float64) (l []float64, ridge float64, err error) {
	mean := a.meanDiagonal() + a.prior
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, 0, nil
	}
	for ; lambda < 1e3; lambda *= 10 {
		l, err := a.factorWith(lambda * mean)
		if !errors.Is(err, errIndefinite) {
			return l, lambda * mean, err
		}
	}
	return nil, 0, nil
}

func (a *normal) factorWith(ridge float64) ([]float64, error) {
	l := slices.Clone(a.g)
	for i := range a.k {
		l[i*a.k+i] += ridge
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
	n          int
	weights    []float32
	importance []float32
	lost       []float32 // (k, d): W - Q of the columns that are rounded
	blocks     [][]byte  // what is encoded of all rows
}

// first rounds the columns from from to to, when those behind them are: l is L.
func (r *rounding) first(l []float64, from, to int) error {
	n, k, d := r.n, r.p.In, r.p.Out
	owed, err := r.owed(l, to, from, to)
	if err != nil {
		return err
	}
	for at := to - n; at >= from; at -= n {
		diagonal := mat.NewTriDense(n, mat.Lower, nil)
		for i := range n {
			for j := range i + 1 {
				diagonal.SetTri(i, j, l[(at+i)*k+at+j])
			}
		}
		var move mat.Dense // L_BB^T move = owed
		if err := diagonal.SolveTo(&move, true, owed.Slice(at-from, at-from+n, 0, d)); err != nil {
			return err
		}
		if err := r.round(at, &move, nil); err != nil {
			return err
		}
		if at > from {
			tell(owed.Slice(0, at-from, 0, d), l, k, at, from, mat.NewDense(n, d, doubles(r.lost[at*d:(at+n)*d])))
		}
	}
	return nil
}

// again rounds the columns from from to to once more, where that is nearer to what the others lack.
func (r *rounding) again(ridge float64, from, to int) error {
	n, k, d := r.n, r.p.In, r.p.Out
	owed, err := r.owed(r.h.g, 0, from, to)
	if err != nil {
		return err
	}
	for at := from; at < to; at += n {
		metric := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				metric.SetSym(i, j, r.h.g[(at+i)*k+at+j])
			}
		}
		before := mat.NewDense(n, d, doubles(r.lost[at*d:(at+n)*d]))
		var others mat.Dense // what the other blocks alone ask for
		others.Mul(metric, before)
		others.Sub(owed.Slice(at-from, at-from+n, 0, d), &others)
		for i := range n {
			metric.SetSym(i, i, metric.At(i, i)+ridge)
		}
		var ch mat.Cholesky
		var move mat.Dense
		if !ch.Factorize(metric) || ch.SolveTo(&move, &others) != nil {
			continue
		}
		if err := r.round(at, &move, metric); err != nil {
			return err
		}
		change := mat.NewDense(n, d, doubles(r.lost[at*d:(at+n)*d]))
		change.Sub(change, before)
		tell(owed, r.h.g, k, at, from, change)
	}
	return nil
}

// tell adds M_BG^T e to owed, which is that of as many columns G from from on; e (n, d) is of the rows B of M (k, k) from at on.
func tell(owed mat.Matrix, m []float64, k, at, from int, e *mat.Dense) {
	n, _ := e.Dims()
	columns, _ := owed.Dims()
	part := mat.NewDense(n, columns, nil)
	for i := range n {
		part.SetRow(i, m[(at+i)*k+from:(at+i)*k+from+columns])
	}
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, part.RawMatrix(), e.RawMatrix(), 1, owed.(*mat.Dense).RawMatrix())
}

// owed is M_RG^T E, for the columns G of M (k, k) from from to to, over the rows R from row on.
func (r *rounding) owed(m []float64, row, from, to int) (*mat.Dense, error) {
	n, k, d := to-from, r.p.In, r.p.Out
	rows := k - row
	sum := mat.NewDense(n, d, nil)
	if rows == 0 {
		return sum, nil
	}
	if r.h.mul != nil && k >= productFrom {
		part := make([]float32, 0, rows*n)
		for i := row; i < k; i++ {
			for _, v := range m[i*k+from : i*k+to] {
				part = append(part, float32(v))
			}
		}
		return sum, r.h.mul(rows, part, r.lost[row*d:], sum.RawMatrix().Data)
	}
	part := mat.NewDense(rows, n, nil)
	for i := range rows {
		part.SetRow(i, m[(row+i)*k+from:(row+i)*k+to])
	}
	sum.Mul(part.T(), mat.NewDense(rows, d, doubles(r.lost[row*d:])))
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
	data, err := r.w.Encode(part, wanted, r.importanceOf(at))
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

// importanceOf is that of the columns from at on. Some types cannot do without any: where all of them are 0, they are all alike.
func (r *rounding) importanceOf(at int) []float32 {
	part := r.importance[at : at+r.n]
	if slices.Max(part) > 0 || slices.Max(r.importance) == 0 {
		return part
	}
	return slices.Repeat([]float32{1}, r.n)
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
