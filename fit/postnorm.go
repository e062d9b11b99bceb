package fit

import (
	"context"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// Behind some output projections there is an RMS norm with a weight w: the block adds w o (W f)/r with r = rms(W f), element by element. The
// norm takes the length of W f away, so that only the direction of y can be matched, not its length. The fit takes r for a constant of the
// position, that of the original W, and the target y times a factor that gives it the length of what the original W makes the block add:
//
//	w o (W f)/r ~ y/L     L = |y| / |w o (W f)/r|
//
// If what is added has the right length and the cosine c with y, the stream is off by 2 L (1 - c) in parts of |y/L|^2, and one times
// what |y| and L make of it, which no fit changes. So a position counts L times. Features are divided by r and multiplied with sqrt(L),
// targets divided by it. What is fitted is w o W: its rows are divided by w in the end.

// tinyNorm is the weight of a norm, in parts of its root mean square, below which a row has no say in the stream and stays as it is.
const tinyNorm = 1e-3

// behindNorm turns the features and targets (n, d) of a batch, divided by the size of the stream, into those of a projection with a norm
// behind it. It returns the square root of L for each position.
func behindNorm(ctx context.Context, e engine.BlockRunner, p *part, r *rows, target []float32) ([]float64, error) {
	t, d := r.taps[p], p.Out
	if p.turned == nil {
		p.turned = turned(p.Weights, d, p.In)
	}
	made := make([]float64, r.n*d)
	if err := e.Product(ctx, p.Name, p.In, turned(t.Features, r.n, p.In), p.turned, made); err != nil {
		return nil, err
	}
	roots := make([]float64, r.n)
	for i := range r.n {
		y, out := target[i*d:(i+1)*d], r.out[i*d:(i+1)*d]
		size, power := square(r.stream[i*d:(i+1)*d])/float64(d)+1e-12, 0.0
		for _, v := range made[i*d : (i+1)*d] {
			power += v * v
		}
		norm := math.Sqrt(size*power/float64(d) + t.Eps)
		root := math.Sqrt(math.Sqrt(square(y) / square(out)))
		if !(root > 0) || math.IsInf(root, 0) {
			root, norm = 1, math.Inf(1) // a position without a direction
		}
		f := t.Features[i*p.In : (i+1)*p.In]
		for j := range f {
			f[j] *= float32(root / norm)
		}
		for j := range y {
			y[j] *= float32(1 / root)
		}
		roots[i] = root
	}
	return roots, nil
}

// chooseNormed fits the columns of the kept channels, (len(kept), d), of a projection with a norm behind it; q has these
// channels alone. Every lambda is judged by the stream behind the block, that is through the norm. The loss before is that with the
// original columns.
func (s *state) chooseNormed(ctx context.Context, b blockmask.Block, at, stop int, p *part, q *dense, kept []int,
	lambdas []float64,
) (columns *mat.Dense, lambda, before float64, err error) {
	w := normScale(p.norm)
	start := mat.NewDense(len(kept), q.d, nil)
	for i, c := range kept {
		for o := range q.d {
			start.Set(i, o, w[o]*float64(p.Weights[o*p.In+c]))
		}
	}
	// plain takes the weight of the norm out again.
	plain := func(x *mat.Dense) *mat.Dense {
		out := mat.NewDense(len(kept), q.d, nil)
		for i, c := range kept {
			for o := range q.d {
				v := float64(p.Weights[o*p.In+c])
				if w[o] != 0 {
					v = x.At(i, o) / w[o]
				}
				out.Set(i, o, v)
			}
		}
		return out
	}
	try := func(x *mat.Dense) (float64, error) {
		if err := s.install(p, b, kept, plain(x), nil, 0); err != nil {
			return 0, err
		}
		return s.judge(ctx, at, stop)
	}
	if before, err = try(start); err != nil {
		return nil, 0, 0, err
	}
	fitted, err := q.fit.from(start)
	if err != nil {
		return nil, 0, 0, err
	}
	x, lambda, err := chooseLambda(fitted, start, lambdas, before, func(change *mat.Dense) (float64, error) {
		var x mat.Dense
		x.Add(start, change)
		return try(&x)
	})
	if err != nil {
		return nil, 0, 0, err
	}
	return plain(x), lambda, before, nil
}

// sumNormed adds a batch to the equations of a fit of all the weights of a projection with a norm behind it.
func (f *fullFit) sumNormed(ctx context.Context, e engine.BlockRunner, held bool, r *rows) error {
	target := slices.Clone(r.residual) // what is missing behind the block, and what it adds itself
	for i, v := range r.out {
		target[i] += v
	}
	roots, err := behindNorm(ctx, e, f.p, r, target)
	if err != nil {
		return err
	}
	for i := range target {
		target[i] -= r.out[i] * float32(roots[i/f.d])
	}
	return f.sum(ctx, e, f.p.Name, held, r.n, r.taps[f.p].Features, target)
}

// normedCandidates are the weights for some lambdas, to be tried: the equations do not know what the norm makes of them.
func (f *fullFit) normedCandidates() (all []candidate, failed string, err error) {
	for _, l := range ExpertLambdas {
		x, used, err := f.fit.solve(l)
		if why := unsolvable(""); errors.As(err, &why) {
			failed = why.Error()
			continue
		}
		if err != nil {
			return nil, "", err
		}
		data, err := f.s.encode(f.p, 0, f.normedWeights(x))
		if err != nil {
			return nil, "", err
		}
		all = append(all, candidate{lambda: used, data: [][]byte{data}})
	}
	return all, failed, nil
}

// normedWeights are the weights with the change x (k, d) of w o W.
func (f *fullFit) normedWeights(x *mat.Dense) []float32 {
	for o, w := range normScale(f.p.norm) {
		for i := range f.k {
			if w == 0 {
				x.Set(i, o, 0)
			} else {
				x.Set(i, o, x.At(i, o)/w)
			}
		}
	}
	return plusTransposed(f.p.Weights, x)
}

// normScale is the weight of a norm, zero where it is too small to divide by.
func normScale(norm []float32) []float64 {
	out := make([]float64, len(norm))
	least := tinyNorm * math.Sqrt(square(norm)/float64(len(norm)))
	for o, v := range norm {
		if w := float64(v); math.Abs(w) > least {
			out[o] = w
		}
	}
	return out
}
