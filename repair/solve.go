package repair

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// normal are the normal equations of a least-squares problem: sums over n positions of features f (k) and residuals r (d).
type normal struct {
	n, k, d int
	g       []float64 // (k, k) sum f f^T
	c       []float64 // (k, d) sum f r^T
	energy  float64   // sum |r|^2
	prior   float64   // what positions without a residual add to G's diagonal, for the ridge only
}

func newNormal(k, d int) *normal {
	return &normal{k: k, d: d, g: make([]float64, k*k), c: make([]float64, k*d)}
}

// plus is the sum of two parts.
func (a *normal) plus(b *normal) *normal {
	s := newNormal(a.k, a.d)
	s.n, s.energy = a.n+b.n, a.energy+b.energy
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

// maxCondition is how badly conditioned a solve may be: single precision has gone into the sums.
const maxCondition = 1e7

// solve returns X (k, d), the ridge solution with lambda times the mean of G's diagonal, and of the prior, added to it, and the lambda that was used: a
// larger one where the condition of G asks for it.
func (a *normal) solve(lambda float64) (*mat.Dense, float64, error) {
	mean := a.meanDiagonal() + a.prior
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, 0, fmt.Errorf("the features of %d positions are all zero or not finite", a.n)
	}
	c := mat.NewDense(a.k, a.d, a.c)
	for ; lambda < 1e3; lambda *= 10 {
		g := mat.NewSymDense(a.k, append([]float64(nil), a.g...))
		for i := range a.k {
			g.SetSym(i, i, g.At(i, i)+lambda*mean)
		}
		var ch mat.Cholesky
		if !ch.Factorize(g) || ch.Cond() > maxCondition {
			continue
		}
		var x mat.Dense
		if err := ch.SolveTo(&x, c); err != nil {
			continue
		}
		return &x, lambda, nil
	}
	return nil, 0, fmt.Errorf("the normal equations of %d features are too badly conditioned", a.k)
}

// loss is sum |X^T f - r|^2 over the positions of a.
func (a *normal) loss(x *mat.Dense) float64 {
	var gx mat.Dense
	gx.Mul(mat.NewSymDense(a.k, a.g), x)
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
