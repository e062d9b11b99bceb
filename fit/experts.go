package fit

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/engine"
)

// ExpertLambdas are the ridge parameters that are tried on experts.
var ExpertLambdas = []float64{0.1, 1, 10}

// maxExpertBytes bounds the normal equations of the experts that are fitted in one run over the text.
const maxExpertBytes = 2 << 30

// bytesOf is what the normal equations of one matrix take.
func bytesOf(k, d int) int { return 8 * (k*k + k*d) }

// expertsFit fits every weight of each expert, on the positions that it works on. The residual of a position is divided among its experts
// by the squares of their weighted inputs, so that each can be solved by itself. k pseudo-positions without a residual, as strong as
// the mean of all experts, hold back an expert that few positions come to. Whether the sum of what the experts then do is better is not
// in the normal equations: every candidate is tried on the held part.
type expertsFit struct {
	p      *part
	lo, hi int       // experts in eqs
	eqs    []*normal // of experts lo to hi
	data   [][]byte  // of each of ExpertLambdas: the experts before lo
	fails  error
	group  int // experts that are fitted at once
}

func newExpertsFit(p *part) *expertsFit {
	return &expertsFit{p: p, data: make([][]byte, len(ExpertLambdas)), group: max(1, maxExpertBytes/bytesOf(p.In, p.Out))}
}

// start opens the normal equations of the next group.
func (f *expertsFit) start() {
	f.hi = min(f.lo+f.group, f.p.Experts)
	for range f.hi - f.lo {
		f.eqs = append(f.eqs, newNormal(f.p.In, f.p.Out))
	}
}

func (f *expertsFit) parts() []*part { return []*part{f.p} }
func (f *expertsFit) method() Method { return Full }

// add implements fit. The held part is left out.
func (f *expertsFit) add(ctx context.Context, e engine.BlockRunner, held bool, r *rows) error {
	if held {
		return nil
	}
	if f.eqs == nil {
		f.start()
	}
	t, k, d := r.taps[f.p], f.p.In, f.p.Out
	features, residual := make([][]float32, f.hi-f.lo), make([][]float32, f.hi-f.lo)
	for i := range r.n {
		own := t.Features[i*t.Used*k : (i+1)*t.Used*k]
		total := square(own)
		if total == 0 {
			continue
		}
		for j, x := range t.Experts[i*t.Used : (i+1)*t.Used] {
			at := int(x) - f.lo
			if at < 0 || at >= len(f.eqs) {
				continue
			}
			g := own[j*k : (j+1)*k]
			share := float32(square(g) / total)
			features[at] = append(features[at], g...)
			for _, v := range r.residual[i*d : (i+1)*d] {
				residual[at] = append(residual[at], share*v)
			}
		}
	}
	for at, eq := range f.eqs {
		n := len(residual[at]) / d
		if n == 0 {
			continue
		}
		eq.n += n
		if err := e.Product(ctx, f.p.Name, n, features[at], features[at], eq.g); err != nil {
			return err
		}
		if err := e.Product(ctx, f.p.Name, n, features[at], residual[at], eq.c); err != nil {
			return err
		}
	}
	return nil
}

// advance solves the group that was collected, and makes room for the next.
func (f *expertsFit) advance(s *state) bool {
	total, rows := 0.0, 0
	for _, v := range f.p.power {
		total += v
	}
	for _, n := range f.p.rows {
		rows += n
	}
	mean := total / float64(max(1, rows)) / float64(f.p.In) // square of an input
	for at, eq := range f.eqs {
		eq.prior = mean * float64(f.p.In)
		f.fails = errors.Join(f.fails, f.solve(s, f.lo+at, eq))
	}
	f.lo, f.eqs = f.hi, nil
	return f.fails == nil && f.lo < f.p.Experts
}

// solve appends one expert's new weights to the data of every lambda.
func (f *expertsFit) solve(s *state, expert int, eq *normal) error {
	size := len(f.p.Data) / f.p.Experts
	for i, lambda := range ExpertLambdas {
		one := f.p.Data[expert*size : (expert+1)*size]
		if x, _, err := eq.solve(lambda); err == nil && eq.n > 0 { // else the expert stays as it is
			if one, err = s.encode(f.p, expert, plusTransposed(f.p.matrix(expert), x)); err != nil {
				return err
			}
		}
		f.data[i] = append(f.data[i], one...)
	}
	return nil
}

func (f *expertsFit) candidates() (all []candidate, failed string, err error) {
	for i, lambda := range ExpertLambdas {
		all = append(all, candidate{lambda: lambda, data: [][]byte{f.data[i]}})
	}
	return all, "", f.fails
}

func (f *expertsFit) build(_ context.Context, _ *state, c candidate) ([][]byte, string, error) {
	return c.data, "", nil
}
