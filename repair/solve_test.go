package repair

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// random draws features and residuals, and their normal equations.
func random(n, k, d int, seed uint64) (f, r *mat.Dense, eq *normal) {
	rng := rand.New(rand.NewPCG(seed, 7))
	draw := func(rows, cols int) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		for i := range rows {
			for j := range cols {
				m.Set(i, j, rng.NormFloat64())
			}
		}
		return m
	}
	f, r = draw(n, k), draw(n, d)
	eq = newNormal(k, d)
	eq.n = n
	var g, c mat.Dense
	g.Mul(f.T(), f)
	c.Mul(f.T(), r)
	copy(eq.g, g.RawMatrix().Data)
	copy(eq.c, c.RawMatrix().Data)
	eq.energy = mat.Dot(flat(r), flat(r))
	return f, r, eq
}

func flat(m *mat.Dense) *mat.VecDense { d := m.RawMatrix().Data; return mat.NewVecDense(len(d), d) }

// The ridge solution by another route: QR of the features with sqrt(lambda) I below them.
func TestSolveEqualsQR(t *testing.T) {
	const n, k, d, lambda = 40, 9, 4, 0.1
	f, r, eq := random(n, k, d, 1)
	got, used, err := eq.solve(lambda)
	if err != nil || used != lambda {
		t.Fatal(used, err)
	}
	tall, rhs := mat.NewDense(n+k, k, nil), mat.NewDense(n+k, d, nil)
	tall.Slice(0, n, 0, k).(*mat.Dense).Copy(f)
	rhs.Slice(0, n, 0, d).(*mat.Dense).Copy(r)
	for i := range k {
		tall.Set(n+i, i, math.Sqrt(lambda*eq.meanDiagonal()))
	}
	var qr mat.QR
	qr.Factorize(tall)
	var want mat.Dense
	if err := qr.SolveTo(&want, false, rhs); err != nil {
		t.Fatal(err)
	}
	if !mat.EqualApprox(got, &want, 1e-10) {
		t.Errorf("got\n%v\nwant\n%v", mat.Formatted(got), mat.Formatted(&want))
	}
	var diff mat.Dense
	diff.Mul(f, got)
	diff.Sub(&diff, r)
	if want := mat.Dot(flat(&diff), flat(&diff)); math.Abs(eq.loss(got)-want) > 1e-9*want {
		t.Errorf("loss %g, want %g", eq.loss(got), want)
	}
}

func TestSolveRaisesLambda(t *testing.T) {
	_, _, eq := random(5, 30, 3, 2) // fewer positions than features
	_, used, err := eq.solve(1e-12)
	if err != nil || used <= 1e-12 || used > 1e-5 {
		t.Errorf("lambda %g, %v", used, err)
	}
}

func TestSolveRefusesNothing(t *testing.T) {
	for _, v := range []float64{0, math.NaN(), math.Inf(1)} {
		eq := newNormal(3, 2)
		for i := range eq.g {
			eq.g[i] = v
		}
		if _, _, err := eq.solve(0.1); err == nil {
			t.Errorf("features of %g were accepted", v)
		}
	}
}

func TestPlus(t *testing.T) {
	_, _, a := random(10, 4, 2, 3)
	_, _, b := random(20, 4, 2, 4)
	s := a.plus(b)
	if s.n != 30 || math.Abs(s.g[5]-a.g[5]-b.g[5]) > 1e-12 || math.Abs(s.energy-a.energy-b.energy) > 1e-9 {
		t.Errorf("%+v", s)
	}
}
