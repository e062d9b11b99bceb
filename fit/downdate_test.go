package fit

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// correlated makes n positions of k features, some of which are nearly sums of others, and targets of d numbers that depend on them.
func correlated(t *testing.T, n, k, d int, seed uint64) (*normal, *mat.Dense, *mat.Dense) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	f, w := mat.NewDense(n, k, nil), mat.NewDense(k, d, nil)
	for i := range n {
		for j := range k {
			v := rng.NormFloat64() * (0.2 + float64(j%7))
			if j >= 3 && j%3 == 0 {
				v = f.At(i, j-1) + f.At(i, j-2) + 0.1*v
			}
			f.Set(i, j, v)
		}
	}
	for i := range k {
		for j := range d {
			w.Set(i, j, rng.NormFloat64())
		}
	}
	var y mat.Dense
	y.Mul(f, w)
	a := newNormal(k, d)
	a.n = n
	var g, c mat.Dense
	g.Mul(f.T(), f)
	c.Mul(f.T(), &y)
	copy(a.g, g.RawMatrix().Data)
	copy(a.c, c.RawMatrix().Data)
	a.energy = squares(y.RawMatrix().Data)
	return a, f, w
}

// Downdating one channel after the other is what solving anew without it gives, to rounding: OSSCAR's identity.
func TestDowndateIsASolveWithout(t *testing.T) {
	t.Parallel()
	a, _, _ := correlated(t, 200, 24, 5, 1)
	ridge := selectRidge * a.meanDiagonal()
	dense := func(kept []int) *mat.Dense {
		sub := a.of(kept)
		g := mat.NewSymDense(sub.k, slices.Clone(sub.g))
		for i := range sub.k {
			g.SetSym(i, i, g.At(i, i)+ridge)
		}
		var ch mat.Cholesky
		if !ch.Factorize(g) {
			t.Fatal("not positive definite")
		}
		var x mat.Dense
		if err := ch.SolveTo(&x, mat.NewDense(sub.k, sub.d, sub.c)); err != nil {
			t.Fatal(err)
		}
		return &x
	}
	all := make([]int, a.k)
	for i := range all {
		all[i] = i
	}
	g := mat.NewSymDense(a.k, slices.Clone(a.g))
	for i := range a.k {
		g.SetSym(i, i, g.At(i, i)+ridge)
	}
	var ch mat.Cholesky
	ch.Factorize(g)
	var inverse mat.SymDense
	if err := ch.InverseTo(&inverse); err != nil {
		t.Fatal(err)
	}
	h, v := mat.DenseCopyOf(&inverse), new(mat.Dense)
	v.Mul(h, mat.NewDense(a.k, a.d, a.c))
	d := &downdating{inverse: h, v: v}
	for _, gone := range [][]int{{3}, {0, 9, 17}, {5}} {
		if err := d.without(gone); err != nil {
			t.Fatal(err)
		}
		all = slices.DeleteFunc(all, func(i int) bool { return slices.Contains(gone, i) })
		want := dense(all)
		for i, p := range all {
			for j := range a.d {
				if diff := math.Abs(v.At(p, j) - want.At(i, j)); diff > 1e-8*(1+math.Abs(want.At(i, j))) {
					t.Fatalf("without %v, row %d: %v, solved anew %v", gone, p, v.At(p, j), want.At(i, j))
				}
			}
		}
	}
}

// With products on the engine, in single precision, the inverse and what is downdated are the same within that precision, and so is
// the choice.
func TestDowndateOnTheEngine(t *testing.T) {
	t.Parallel()
	for _, k := range []int{20, 31, 64} {
		a, _, _ := correlated(t, 400, k, 6, uint64(k))
		plain, err := a.downdating()
		if err != nil {
			t.Fatal(err)
		}
		h := slices.Clone(a.g)
		for i := range k {
			h[i*k+i] += selectRidge * a.meanDiagonal()
		}
		blocked := &downdating{v: mat.DenseCopyOf(plain.v), alive: slices.Clone(plain.alive), group: 3, mul: rounded}
		plain.group = 3
		if blocked.inverse, err = blockedInverse(h, k, 8, rounded); err != nil {
			t.Fatal(err)
		}
		for _, keep := range []int{k - 3, k / 2, k / 3} {
			if err := errors.Join(plain.to(keep), blocked.to(keep)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(plain.alive, blocked.alive) {
				t.Fatalf("%d of %d: %v on the engine, %v in double precision", keep, k, blocked.alive, plain.alive)
			}
			for _, m := range [][2]*mat.Dense{{blocked.inverse, plain.inverse}, {blocked.v, plain.v}} {
				if scale := mat.Norm(m[1], math.Inf(1)); !mat.EqualApprox(m[0], m[1], 1e-5*scale) {
					t.Errorf("%d of %d features: off by more than rounding", keep, k)
				}
			}
		}
	}
}

// The channels that are chosen leave less than those with the largest inputs times weights, and much less than any.
func TestSelectChannels(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		a, _, w := correlated(t, 400, 48, 8, seed)
		loss := func(kept []int) float64 {
			sub := a.of(kept)
			x, _, err := sub.solve(1e-6)
			if err != nil {
				t.Fatal(err)
			}
			l, err := sub.loss(x)
			if err != nil {
				t.Fatal(err)
			}
			return l / a.energy
		}
		kept, err := a.selectChannels(32)
		if err != nil || len(kept) != 32 || !slices.IsSorted(kept) {
			t.Fatalf("%v, %v", kept, err)
		}
		byNorm := make([]int, a.k)
		for i := range byNorm {
			byNorm[i] = i
		}
		norm := func(i int) float64 { return math.Sqrt(a.g[i*a.k+i] * squares(w.RawRowView(i))) }
		slices.SortFunc(byNorm, func(x, y int) int {
			if norm(x) > norm(y) {
				return -1
			}
			return 1
		})
		chosen, normed := loss(kept), loss(byNorm[:32])
		if !(chosen <= normed) {
			t.Errorf("seed %d: the chosen channels leave %g of the target, the largest %g", seed, chosen, normed)
		}
	}
}

// A problem from where a solution is has its best change as solution.
func TestFrom(t *testing.T) {
	t.Parallel()
	a, _, _ := correlated(t, 300, 12, 4, 3)
	start := mat.NewDense(12, 4, nil)
	for i := range 12 {
		start.Set(i, i%4, 0.5)
	}
	rest, err := a.from(start)
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := rest.solve(1e-9)
	if err != nil {
		t.Fatal(err)
	}
	var sum mat.Dense
	sum.Add(start, x)
	best, _, err := a.solve(1e-9)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.EqualApprox(&sum, best, 1e-4) {
		t.Error("the change from a start does not lead to the solution")
	}
	l1, _ := rest.loss(x)
	l2, _ := a.loss(&sum)
	if math.Abs(l1-l2) > 1e-6*a.energy {
		t.Errorf("losses %g and %g", l1, l2)
	}
}

// By blocks of rows, a product is taken off as it is in one piece: bit for bit by gonum, to rounding on the engine.
func TestLessByBlocks(t *testing.T) {
	t.Parallel()
	const n, k, width = 7, 2*blockRows + 30, 40
	rng := rand.New(rand.NewPCG(4, 5))
	draw := func(rows, cols int) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		for i := range m.RawMatrix().Data {
			m.RawMatrix().Data[i] = rng.NormFloat64()
		}
		return m
	}
	a, b, x := draw(n, k), draw(n, width), draw(k, width)
	var want mat.Dense
	want.Mul(a.T(), b)
	want.Sub(x, &want)
	for _, d := range []*downdating{{}, {mul: rounded}} {
		got := mat.DenseCopyOf(x)
		if err := d.less(got, a, b); err != nil {
			t.Fatal(err)
		}
		if d.mul == nil && !mat.Equal(got, &want) || !mat.EqualApprox(got, &want, 1e-5) {
			t.Errorf("on the engine %v: another difference", d.mul != nil)
		}
	}
}
