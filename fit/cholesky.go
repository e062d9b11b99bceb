package fit

import (
	"errors"

	"gonum.org/v1/gonum/mat"
)

// product adds a^T b, summed over n rows, to acc: see [engine.BlockRunner]. Its sums over a call are single precision, those over calls double.
type product func(n int, a, b []float32, acc []float64) error

// Large systems are solved in blocks, whose products run on the engine: seven times as fast as gonum in double precision on the
// machine of docs/BENCHMARKS.md. What is lost in precision is what the sums in the matrix have lost before.
const (
	blockedFrom = 2048 // inputs from which it pays
	blockRows   = 512
	blockCols   = 1024
)

// factors are the blocked Cholesky factors of a symmetric matrix: L in the lower triangle of a (k, k), and the inverses of L's diagonal
// blocks.
type factors struct {
	a    []float64
	k, w int // w: rows of a block
	inv  []*mat.TriDense
	mul  product
	sum  []float64 // for products; kept for its memory
}

var errIndefinite = errors.New("the matrix is not positive definite")

// factorize replaces the lower triangle of a by its factor.
func factorize(a []float64, k, w int, mul product) (*factors, error) {
	f := &factors{a: a, k: k, w: w, mul: mul}
	for j := 0; j < k; j += w {
		n := min(w, k-j)
		diagonal := mat.NewSymDense(n, nil)
		for r := range n {
			for c := r; c < n; c++ {
				diagonal.SetSym(r, c, a[(j+c)*k+j+r])
			}
		}
		var ch mat.Cholesky
		if !ch.Factorize(diagonal) {
			return nil, errIndefinite
		}
		var l, inv mat.TriDense
		ch.LTo(&l)
		if err := inv.InverseTri(&l); err != nil {
			return nil, errIndefinite
		}
		f.inv = append(f.inv, &inv)
		for r := range n {
			for c := range r + 1 {
				a[(j+r)*k+j+c] = l.At(r, c)
			}
		}
		if err := f.below(j, n, &inv); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// below turns what is below the diagonal block of n rows at j into the factor's, and takes its product off what is right of it.
func (f *factors) below(j, n int, inv *mat.TriDense) error {
	k, m := f.k, f.k-j-n
	if m == 0 {
		return nil
	}
	panel := make([]float32, n*m) // transposed: (n, m)
	for r := range m {
		for c := range n {
			panel[c*m+r] = float32(f.a[(j+n+r)*k+j+c])
		}
	}
	l := make([]float64, m*n)
	if err := f.mul(n, panel, transposed(inv, n), l); err != nil {
		return err
	}
	for r := range m {
		copy(f.a[(j+n+r)*k+j:], l[r*n:(r+1)*n])
		for c := range n {
			panel[c*m+r] = float32(l[r*n+c])
		}
	}
	for from := 0; from < m; from += blockCols {
		rows, cols := m-from, min(blockCols, m-from)
		left, right, sum := make([]float32, n*rows), make([]float32, n*cols), f.sums(rows*cols)
		for c := range n {
			copy(left[c*rows:(c+1)*rows], panel[c*m+from:])
			copy(right[c*cols:(c+1)*cols], panel[c*m+from:])
		}
		if err := f.mul(n, left, right, sum); err != nil {
			return err
		}
		for r := range rows {
			to := f.a[(j+n+from+r)*k+j+n+from:]
			for c, v := range sum[r*cols : (r+1)*cols] {
				to[c] -= v
			}
		}
	}
	return nil
}

// sums are n zeros to add products to, until the next call.
func (f *factors) sums(n int) []float64 {
	if len(f.sum) < n {
		f.sum = make([]float64, n)
	}
	clear(f.sum[:n])
	return f.sum[:n]
}

// transposed is t^T, (n, n).
func transposed(t *mat.TriDense, n int) []float32 {
	out := make([]float32, n*n)
	for r := range n {
		for c := range r + 1 {
			out[c*n+r] = float32(t.At(r, c))
		}
	}
	return out
}

// spread is the square of the ratio of L's largest and least diagonal elements, which is no more than the condition of the matrix.
func (f *factors) spread() float64 {
	lo, hi := f.a[0], f.a[0]
	for i := range f.k {
		lo, hi = min(lo, f.a[i*f.k+i]), max(hi, f.a[i*f.k+i])
	}
	return hi / lo * (hi / lo)
}

// solve replaces x (k, d) by the solution of L L^T y = x.
func (f *factors) solve(x []float64, d int) error {
	k := f.k
	for i, inv := range f.inv {
		j := i * f.w
		n := min(f.w, k-j)
		rows := singles(x[j*d:(j+n)*d], 1)
		y := make([]float64, n*d)
		if err := f.mul(n, transposed(inv, n), rows, y); err != nil {
			return err
		}
		copy(x[j*d:], y)
		if m := k - j - n; m > 0 {
			left := make([]float32, n*m)
			for r := range m {
				for c := range n {
					left[c*m+r] = float32(-f.a[(j+n+r)*k+j+c])
				}
			}
			if err := f.mul(n, left, singles(y, 1), x[(j+n)*d:]); err != nil {
				return err
			}
		}
	}
	for i := len(f.inv) - 1; i >= 0; i-- {
		j := i * f.w
		n := min(f.w, k-j)
		inv := make([]float32, n*n)
		for r := range n {
			for c := range r + 1 {
				inv[r*n+c] = float32(f.inv[i].At(r, c))
			}
		}
		y := make([]float64, n*d)
		if err := f.mul(n, inv, singles(x[j*d:(j+n)*d], 1), y); err != nil {
			return err
		}
		copy(x[j*d:], y)
		if j > 0 {
			left := make([]float32, n*j)
			for r := range n {
				copy(left[r*j:(r+1)*j], singles(f.a[(j+r)*k:(j+r)*k+j], -1))
			}
			if err := f.mul(n, left, singles(y, 1), x[:j*d]); err != nil {
				return err
			}
		}
	}
	return nil
}

// invert replaces the factor by the inverse of the matrix that was factorised, in both triangles: first by the inverse Y of L, then by
// Y^T Y.
func (f *factors) invert() error {
	for i := range f.inv {
		if err := f.invertRows(i); err != nil {
			return err
		}
	}
	k := f.k
	for j := 0; j < k; j += f.w {
		n := min(f.w, k-j)
		sum := f.sums(n * (j + n))
		for r := j; r < k; r += f.w {
			m := min(f.w, k-r)
			if err := f.mul(m, f.part(r, m, j, j+n), f.part(r, m, 0, j+n), sum); err != nil {
				return err
			}
		}
		for r := j; r < j+n; r++ {
			for c, v := range sum[(r-j)*(j+n):][:r+1] {
				f.a[r*k+c], f.a[c*k+r] = v, v
			}
		}
	}
	return nil
}

// invertRows turns the i-th rows of blocks of L into those of its inverse, once those above are: Y_i = -L_ii^-1 (sum over r < i of L_ir Y_r).
func (f *factors) invertRows(i int) error {
	k, j := f.k, i*f.w
	n := min(f.w, k-j)
	sum := f.sums(j * n) // transposed: the columns of Y_r come first in it
	for r := 0; r < j; r += f.w {
		if err := f.mul(f.w, f.part(r, f.w, 0, r+f.w), turned(f.part(j, n, r, r+f.w), n, f.w), sum[:(r+f.w)*n]); err != nil {
			return err
		}
	}
	below, y := turned(singles(sum, -1), j, n), make([]float64, n*j)
	if j > 0 {
		if err := f.mul(n, transposed(f.inv[i], n), below, y); err != nil {
			return err
		}
	}
	for r := range n {
		copy(f.a[(j+r)*k:], y[r*j:(r+1)*j])
		for c := range n {
			f.a[(j+r)*k+j+c] = f.inv[i].At(r, c)
		}
	}
	return nil
}

// part is m rows of a from r on, columns from to to.
func (f *factors) part(r, m, from, to int) []float32 {
	out := make([]float32, 0, m*(to-from))
	for ; m > 0; r, m = r+1, m-1 {
		for _, v := range f.a[r*f.k+from : r*f.k+to] {
			out = append(out, float32(v))
		}
	}
	return out
}

// singles rounds numbers, times a sign.
func singles(v []float64, sign float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(sign * x)
	}
	return out
}
