package fit

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Lambdas are the ridge parameters that are tried, in parts of the mean of G's diagonal.
var Lambdas = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10}

// normal are the normal equations of a least-squares problem: sums over n positions of features f (k) and residuals r (d).
type normal struct {
	n, k, d int
	g       []float64 // (k, k) sum f f^T
	c       []float64 // (k, d) sum f r^T
	energy  float64   // sum |r|^2
	mul     product   // for large systems; nil: gonum solves them too
	loose   bool      // products alone run on mul from productFrom inputs on
	prior   float64   // what positions without a residual add to G's diagonal, for the ridge only
}

func newNormal(k, d int) *normal {
	return &normal{k: k, d: d, g: make([]float64, k*k), c: make([]float64, k*d)}
}

// plus is the sum of two parts.
func (a *normal) plus(b *normal) *normal {
	s := newNormal(a.k, a.d)
	s.n, s.energy, s.mul = a.n+b.n, a.energy+b.energy, a.mul
	for i := range s.g {
		s.g[i] = a.g[i] + b.g[i]
	}
	for i := range s.c {
		s.c[i] = a.c[i] + b.c[i]
	}
	return s
}

// meanDiagonal is the mean square of a feature times the number of positions.
func (a *normal) meanDiagonal() float64 {
	sum := 0.0
	for i := range a.k {
		sum += a.g[i*a.k+i]
	}
	return sum / float64(a.k)
}

// unsolvable is why normal equations have no solution that could be trusted: a block is then left alone. Any other error is the engine's.
type unsolvable string

func (u unsolvable) Error() string { return string(u) }

// maxCondition is how badly conditioned a solve may be: single precision has gone into the sums.
const maxCondition = 1e7

// solve returns X (k, d), the ridge solution with lambda times the mean of G's diagonal, and of the prior, added to it, and the lambda
// that was used: a larger one where the condition of G asks for it.
func (a *normal) solve(lambda float64) (*mat.Dense, float64, error) {
	mean := a.meanDiagonal() + a.prior
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, 0, unsolvable(fmt.Sprintf("the features of %d positions are all zero or not finite", a.n))
	}
	for ; lambda < 1e3; lambda *= 10 {
		x, err := a.ridge(lambda * mean)
		switch {
		case err == nil:
			return x, lambda, nil
		case !errors.Is(err, errIndefinite):
			return nil, 0, err
		}
	}
	return nil, 0, unsolvable(fmt.Sprintf("the normal equations of %d features are too badly conditioned", a.k))
}

// ridge is (G + added I)^-1 C; errIndefinite if that cannot be trusted.
func (a *normal) ridge(added float64) (*mat.Dense, error) {
	g := append([]float64(nil), a.g...)
	for i := range a.k {
		g[i*a.k+i] += added
	}
	if a.mul != nil && a.k >= blockedFrom {
		f, err := factorize(g, a.k, blockRows, a.mul)
		if err == nil && !(f.spread() <= maxCondition) {
			err = errIndefinite
		}
		if err != nil {
			return nil, err
		}
		x := append([]float64(nil), a.c...)
		return mat.NewDense(a.k, a.d, x), f.solve(x, a.d)
	}
	var ch mat.Cholesky
	if !ch.Factorize(mat.NewSymDense(a.k, g)) || ch.Cond() > maxCondition {
		return nil, errIndefinite
	}
	var x mat.Dense
	if ch.SolveTo(&x, mat.NewDense(a.k, a.d, a.c)) != nil {
		return nil, errIndefinite
	}
	return &x, nil
}

// productFrom is the number of inputs from which products alone pay on the engine. They lose as much in precision as the sums have lost.
const productFrom = 512

// times is G X.
func (a *normal) times(x *mat.Dense) (*mat.Dense, error) {
	if a.mul == nil || a.k < blockedFrom && !(a.loose && a.k >= productFrom) {
		var gx mat.Dense
		gx.Mul(mat.NewSymDense(a.k, a.g), x)
		return &gx, nil
	}
	return a.mul.times(a.g, x)
}

// times is g x: g is (k, k) and symmetric, x (k, d).
func (mul product) times(g []float64, x *mat.Dense) (*mat.Dense, error) {
	k, d := x.Dims()
	sum := make([]float64, k*d)
	for j := 0; j < k; j += blockRows {
		n := min(blockRows, k-j)
		if err := mul(n, singles(g[j*k:(j+n)*k], 1), singles(x.RawMatrix().Data[j*d:(j+n)*d], 1), sum); err != nil {
			return nil, err
		}
	}
	return mat.NewDense(k, d, sum), nil
}

// loss is sum |X^T f - r|^2 over the positions of a.
func (a *normal) loss(x *mat.Dense) (float64, error) {
	gx, err := a.times(x)
	if err != nil {
		return 0, err
	}
	return a.lossOf(x, gx), nil
}

// lossOf is [normal.loss] with G X at hand.
func (a *normal) lossOf(x, gx *mat.Dense) float64 {
	sum := a.energy
	for i := range a.k {
		xi, gi, ci := x.RawRowView(i), gx.RawRowView(i), a.c[i*a.d:(i+1)*a.d]
		for j := range xi {
			sum += xi[j] * (gi[j] - 2*ci[j])
		}
	}
	return sum
}

// climb looks for the lambda with the least loss: from the middle of [Lambdas] to the side on which the loss falls, until it rises. A
// solve says which lambda it used, as a larger one may have been needed.
func climb(solve func(lambda float64) (loss, used float64, err error)) (best, lambda float64, err error) {
	best = math.Inf(1)
	at := func(i int) (float64, error) {
		loss, used, err := solve(Lambdas[i])
		if err == nil && loss < best {
			best, lambda = loss, used
		}
		return loss, err
	}
	middle := len(Lambdas) / 2
	start, err := at(middle)
	for _, step := range []int{1, -1} {
		last := start
		for i := middle + step; err == nil && i >= 0 && i < len(Lambdas); i += step {
			var loss float64
			if loss, err = at(i); !(loss < last) {
				break
			}
			last = loss
		}
		if last < start {
			break // the other side is higher
		}
	}
	return best, lambda, err
}
