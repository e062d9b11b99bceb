package fit

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// selectRidge is what is added to H's diagonal for the selection of channels, in parts of its mean.
const selectRidge = 0.01

// What leaves together was judged as if it left alone, so it must be few of all: one in downdatePart, and at most downdateGroup.
const (
	downdateGroup = 16
	downdatePart  = 96
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
	h := mat.NewSymDense(k, slices.Clone(a.g))
	for i := range k {
		h.SetSym(i, i, h.At(i, i)+selectRidge*mean)
	}
	var ch mat.Cholesky
	if !ch.Factorize(h) {
		return nil, unsolvable(fmt.Sprintf("the normal equations of %d features are too badly conditioned", k))
	}
	var symmetric mat.SymDense
	if err := ch.InverseTo(&symmetric); err != nil {
		return nil, unsolvable(fmt.Sprintf("the normal equations of %d features are too badly conditioned", k))
	}
	d := &downdating{inverse: mat.DenseCopyOf(&symmetric), v: new(mat.Dense), alive: make([]int, k), group: max(1, min(downdateGroup, k/downdatePart))}
	d.v.Mul(d.inverse, mat.NewDense(k, a.d, a.c))
	for i := range d.alive {
		d.alive[i] = i
	}
	return d, nil
}

// to lets features leave until keep are alive.
func (d *downdating) to(keep int) error {
	for len(d.alive) > keep {
		gone := cheapest(d.inverse, d.v, d.alive, min(d.group, len(d.alive)-keep))
		if err := downdate(d.inverse, d.v, gone); err != nil {
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

// downdate takes the features gone out of the inverse (k, k) and the solution v (k, d). Their rows and columns become zero.
func downdate(inverse, v *mat.Dense, gone []int) error {
	k, d := v.Dims()
	n := len(gone)
	cols, block, rows := mat.NewDense(k, n, nil), mat.NewDense(n, n, nil), mat.NewDense(n, d, nil)
	for j, p := range gone {
		for i := range k {
			cols.Set(i, j, inverse.At(i, p))
		}
		for i, q := range gone {
			block.Set(i, j, inverse.At(q, p))
		}
		rows.SetRow(j, v.RawRowView(p))
	}
	var s, sRows, sCols, change mat.Dense
	if err := s.Inverse(block); err != nil {
		return unsolvable("the channels that leave together depend on each other")
	}
	sRows.Mul(&s, rows)
	change.Mul(cols, &sRows)
	v.Sub(v, &change)
	sCols.Mul(&s, cols.T())
	var square mat.Dense
	square.Mul(cols, &sCols)
	inverse.Sub(inverse, &square)
	for _, p := range gone {
		clear(v.RawRowView(p))
		clear(inverse.RawRowView(p))
		for i := range k {
			inverse.Set(i, p, 0)
		}
	}
	return nil
}

// of is the problem on some of the features only.
func (a *normal) of(kept []int) *normal {
	s := newNormal(len(kept), a.d)
	s.n, s.energy, s.mul = a.n, a.energy, a.mul
	for i, p := range kept {
		for j, q := range kept {
			s.g[i*s.k+j] = a.g[p*a.k+q]
		}
		copy(s.c[i*s.d:(i+1)*s.d], a.c[p*a.d:(p+1)*a.d])
	}
	return s
}

// from is the problem of what is still missing behind the solution x (k, d): its solutions are changes of x.
func (a *normal) from(x *mat.Dense) (*normal, error) {
	gx, err := a.times(x)
	if err != nil {
		return nil, err
	}
	s := newNormal(a.k, a.d)
	s.n, s.mul = a.n, a.mul
	copy(s.g, a.g)
	for i, v := range gx.RawMatrix().Data {
		s.c[i] = a.c[i] - v
	}
	s.energy, err = a.loss(x)
	return s, err
}
