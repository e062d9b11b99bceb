package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// selectRidge is what is added to H's diagonal for the selection of channels, in parts of its mean.
const selectRidge = 0.01

// What leaves together was judged as if it left alone, so it must be few of all: one in downdatePart, and at most downdateGroup, or one
// in manyPart where that is more.
const (
	downdateGroup = 16
	downdatePart  = 96
	manyPart      = 256
)

// downdating takes features out of a ridge problem, the ones that are missed least first: the problem of OSSCAR (arXiv 2403.12983) and
// ZipLM (2302.04089). With A = H + ridge and V = A^-1 G, the loss that grows when channel p leaves is |V_p|^2 / (A^-1)_pp. The lowest
// leave together, V and A^-1 are downdated to the solution without them, and so on:
//
//	S = ((A^-1)_PP)^-1     V -= (A^-1)_:P S V_P     A^-1 -= (A^-1)_:P S (A^-1)_P:
type downdating struct {
	inverse *mat.Dense // (k, k) A^-1; rows and columns of what left are zero
	v       *mat.Dense // (k, d) the solution on what is alive; rows of what left are zero
	alive   []int      // ascending
	group   int
	mul     product   // for large systems; nil: gonum does it
	work    mat.Dense // gonum's products; kept for its memory
}

// selectChannels chooses keep of the k features of a, so that the ridge solution on them comes closest to the target. They come in
// ascending order.
func (a *normal) selectChannels(keep int) ([]int, error) {
	d, err := a.downdating()
	if err != nil {
		return nil, err
	}
	err = d.to(keep)
	return d.alive, err
}

// downdating begins with all features of a.
func (a *normal) downdating() (*downdating, error) {
	k := a.k
	mean := a.meanDiagonal()
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil, unsolvable(fmt.Sprintf("the features of %d positions are all zero or not finite", a.n))
	}
	d := &downdating{alive: make([]int, k), group: max(1, min(max(downdateGroup, k/manyPart), k/downdatePart))}
	h := slices.Clone(a.g)
	for i := range k {
		h[i*k+i] += selectRidge * mean
	}
	var err error
	if a.mul != nil && k >= blockedFrom {
		d.mul = a.mul
		d.inverse, err = blockedInverse(h, k, blockRows, a.mul)
	} else {
		d.inverse, err = inverse(h, k)
	}
	if errors.Is(err, errIndefinite) {
		err = unsolvable(fmt.Sprintf("the normal equations of %d features are too badly conditioned", k))
	}
	if err != nil {
		return nil, err
	}
	for i := range d.alive {
		d.alive[i] = i
	}
	c := mat.NewDense(k, a.d, a.c)
	if d.mul == nil {
		d.v = new(mat.Dense)
		d.v.Mul(d.inverse, c)
		return d, nil
	}
	d.v, err = d.mul.times(d.inverse.RawMatrix().Data, c)
	return d, err
}

// inverse is that of a symmetric matrix h (k, k), in h's place. Its condition needs no look: a matrix without negative eigenvalues, plus
// [selectRidge], has one of at most k/selectRidge.
func inverse(h []float64, k int) (*mat.Dense, error) {
	factor, ok := lapack64.Potrf(blas64.Symmetric{Uplo: blas.Upper, N: k, Stride: k, Data: h})
	if ok {
		_, ok = lapack64.Potri(factor)
	}
	if !ok {
		return nil, errIndefinite
	}
	for i := range k {
		for j := range i {
			h[i*k+j] = h[j*k+i]
		}
	}
	return mat.NewDense(k, k, h), nil
}

// blockedInverse is [inverse] in blocks of w rows, with products on the engine.
func blockedInverse(h []float64, k, w int, mul product) (*mat.Dense, error) {
	f, err := factorize(h, k, w, mul)
	if err == nil && !(f.spread() <= maxCondition) {
		err = errIndefinite
	}
	if err != nil {
		return nil, err
	}
	return mat.NewDense(k, k, h), f.invert()
}

// to lets features leave until keep are alive.
func (d *downdating) to(keep int) error {
	for len(d.alive) > keep {
		gone := cheapest(d.inverse, d.v, d.alive, min(d.group, len(d.alive)-keep))
		if err := d.without(gone); err != nil {
			return err
		}
		d.alive = slices.DeleteFunc(d.alive, func(i int) bool { return slices.Contains(gone, i) })
	}
	return nil
}

// cheapest returns the n of the channels alive that are missed least, each by itself.
func cheapest(inverse, v *mat.Dense, alive []int, n int) []int {
	score := make(map[int]float64, len(alive))
	for _, p := range alive {
		score[p] = squares(v.RawRowView(p)) / math.Max(inverse.At(p, p), 1e-30)
	}
	order := slices.Clone(alive)
	slices.SortStableFunc(order, func(x, y int) int {
		switch a, b := score[x], score[y]; {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	out := order[:n]
	slices.Sort(out)
	return out
}

func squares(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return sum
}

// without takes the features gone out of the inverse and the solution. Their rows and columns become zero.
func (d *downdating) without(gone []int) error {
	k, width := d.v.Dims()
	n := len(gone)
	rows, block, v := mat.NewDense(n, k, nil), mat.NewDense(n, n, nil), mat.NewDense(n, width, nil)
	for j, p := range gone {
		rows.SetRow(j, d.inverse.RawRowView(p)) // the inverse is symmetric
		for i, q := range gone {
			block.Set(i, j, d.inverse.At(q, p))
		}
		v.SetRow(j, d.v.RawRowView(p))
	}
	var s, sv, sRows mat.Dense
	if err := s.Inverse(block); err != nil {
		return unsolvable("the channels that leave together depend on each other")
	}
	sv.Mul(&s, v)
	sRows.Mul(&s, rows)
	if err := errors.Join(d.less(d.v, rows, &sv), d.less(d.inverse, rows, &sRows)); err != nil {
		return err
	}
	for _, p := range gone {
		clear(d.v.RawRowView(p))
		clear(d.inverse.RawRowView(p))
		for i := range k {
			d.inverse.Set(i, p, 0)
		}
	}
	return nil
}

// less takes a^T b off x: a is (n, k), b (n, width), x (k, width). It goes by blocks of x's rows, so that products are small.
func (d *downdating) less(x, a, b *mat.Dense) error {
	n, k := a.Dims()
	_, width := x.Dims()
	var left, right []float32
	if d.mul != nil {
		right = singles(b.RawMatrix().Data, 1)
	}
	for from := 0; from < k; from += blockRows {
		to := min(from+blockRows, k)
		if d.mul == nil {
			d.work.Reset()
			d.work.Mul(a.Slice(0, n, from, to).T(), b)
			rows := x.Slice(from, to, 0, width).(*mat.Dense)
			rows.Sub(rows, &d.work)
			continue
		}
		left = left[:0]
		for i := range n {
			left = append(left, singles(a.RawRowView(i)[from:to], -1)...)
		}
		if err := d.mul(n, left, right, x.RawMatrix().Data[from*width:to*width]); err != nil {
			return err
		}
	}
	return nil
}

// of is the problem on some of the features only.
func (a *normal) of(kept []int) *normal {
	s := newNormal(len(kept), a.d)
	s.n, s.energy, s.mul, s.loose = a.n, a.energy, a.mul, a.loose
	for i, p := range kept {
		for j, q := range kept {
			s.g[i*s.k+j] = a.g[p*a.k+q]
		}
		copy(s.c[i*s.d:(i+1)*s.d], a.c[p*a.d:(p+1)*a.d])
	}
	return s
}

// from is the problem of what is still missing behind the solution x (k, d): its solutions are changes of x. It shares g with a.
func (a *normal) from(x *mat.Dense) (*normal, error) {
	gx, err := a.times(x)
	if err != nil {
		return nil, err
	}
	s := &normal{n: a.n, k: a.k, d: a.d, g: a.g, c: make([]float64, len(a.c)), energy: a.lossOf(x, gx), mul: a.mul, loose: a.loose}
	for i, v := range gx.RawMatrix().Data {
		s.c[i] = a.c[i] - v
	}
	return s, nil
}
