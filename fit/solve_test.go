package fit

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
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
	t.Parallel()
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
	loss, err := eq.loss(got)
	if want := mat.Dot(flat(&diff), flat(&diff)); err != nil || math.Abs(loss-want) > 1e-9*want {
		t.Errorf("loss %g, want %g, %v", loss, want, err)
	}
}

func TestSolveRaisesLambda(t *testing.T) {
	t.Parallel()
	_, _, eq := random(5, 30, 3, 2) // fewer positions than features
	_, used, err := eq.solve(1e-12)
	if err != nil || used <= 1e-12 || used > 1e-5 {
		t.Errorf("lambda %g, %v", used, err)
	}
}

func TestSolveRefusesNothing(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	_, _, a := random(10, 4, 2, 3)
	_, _, b := random(20, 4, 2, 4)
	s := a.plus(b)
	if s.n != 30 || math.Abs(s.g[5]-a.g[5]-b.g[5]) > 1e-12 || math.Abs(s.energy-a.energy-b.energy) > 1e-9 {
		t.Errorf("%+v", s)
	}
}

// rounded is a product in double precision of what is rounded to single precision, as an engine's.
func rounded(n int, a, b []float32, acc []float64) error {
	dense := func(v []float32) *mat.Dense {
		out := mat.NewDense(n, len(v)/n, nil)
		for i, x := range v {
			out.RawMatrix().Data[i] = float64(x)
		}
		return out
	}
	var p mat.Dense
	p.Mul(dense(a).T(), dense(b))
	for i, v := range p.RawMatrix().Data {
		acc[i] += v
	}
	return nil
}

// The blocked solution is gonum's, whatever the last block's size.
func TestBlockedSolveEqualsPlain(t *testing.T) {
	t.Parallel()
	for _, k := range []int{1, 7, 8, 20, 31, 64} {
		_, _, eq := random(50, k, 5, uint64(k))
		want, err := eq.ridge(0.5)
		if err != nil {
			t.Fatal(err)
		}
		g := slices.Clone(eq.g)
		for i := range k {
			g[i*k+i] += 0.5
		}
		f, err := factorize(g, k, 8, rounded)
		if err != nil {
			t.Fatal(err)
		}
		x := slices.Clone(eq.c)
		if err := f.solve(x, 5); err != nil {
			t.Fatal(err)
		}
		scale := mat.Norm(want, math.Inf(1))
		if got := mat.NewDense(k, 5, x); !mat.EqualApprox(got, want, 1e-5*scale) {
			t.Errorf("%d features:\n%v\nin place of\n%v", k, mat.Formatted(got), mat.Formatted(want))
		}
	}
}

// Large systems go that way, and their losses too; what has no solution is found out, and an engine's error is none of the matrix.
func TestLargeSolve(t *testing.T) {
	t.Parallel()
	const k, d = blockedFrom + 100, 3
	_, _, eq := random(200, k, d, 9)
	want, _, err := eq.solve(0.1)
	if err != nil {
		t.Fatal(err)
	}
	wantLoss, _ := eq.loss(want)
	eq.mul = rounded
	got, used, err := eq.solve(0.1)
	if err != nil || used != 0.1 || !mat.EqualApprox(got, want, 1e-5*mat.Norm(want, math.Inf(1))) {
		t.Errorf("lambda %g, %v; or the solutions differ", used, err)
	}
	if loss, err := eq.loss(want); err != nil || math.Abs(loss-wantLoss) > 1e-5*eq.energy {
		t.Errorf("loss %g in place of %g, %v", loss, wantLoss, err)
	}
	if _, used, err := eq.solve(1e-13); err != nil || used < 1e-8 { // fewer positions than features
		t.Errorf("lambda %g, %v", used, err)
	}
	broken := errors.New("the engine failed")
	eq.mul = func(int, []float32, []float32, []float64) error { return broken }
	if _, _, err := eq.solve(0.1); !errors.Is(err, broken) {
		t.Error(err)
	}
	large := fullFit{dense: dense{k: k, d: d, fit: eq, held: eq}, p: &part{}}
	if _, why, err := large.candidates(); !errors.Is(err, broken) || why != "" {
		t.Errorf("the engine's error became a reason: %q, %v", why, err)
	}
	if _, why, err := large.build(t.Context(), nil, candidate{lambda: 0.1}); !errors.Is(err, broken) || why != "" {
		t.Errorf("the engine's error became a reason: %q, %v", why, err)
	}
	f := fullFit{dense: dense{k: 3, d: 2, fit: newNormal(3, 2), held: newNormal(3, 2)}, p: &part{}}
	if _, why, err := f.candidates(); err != nil || why != "the features of 0 positions are all zero or not finite" {
		t.Errorf("%q, %v", why, err)
	}
}
