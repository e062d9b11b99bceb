package fit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Width is the method of an FFN that kept some of its channels, and had its output projection fitted on them.
const Width Method = "width"

// widthLambdas are the ridge parameters that are tried towards the original weights of the kept channels, in parts of the mean of H's
// diagonal.
var widthLambdas = []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1}

// trialLambdas are enough to see what a shape loses.
var trialLambdas = []float64{0.03, 0.3}

// collectAt is how much garbage there may be while channels are chosen, in percent of what is alive. The matrices hold no pointers, so that
// collecting costs next to nothing, and the usual 100 would double what they take.
const collectAt = 20

// cut takes channels out of an FFN, whose output projection lies between two boundaries. With f (k) what that is multiplied with, on the
// pruned stream, and y = x_d behind the FFN less x_p in front of it, the wanted number of channels on which a linear map of f comes
// closest to y is chosen, and the projection's columns are fitted:
//
//	W_K <- W_K + ((H_KK + lambda mean(diag) I)^-1 (G_K - H_KK W_K^T))^T     H = sum f f^T, G = sum f y^T
//
// lambda is chosen by the closed-form loss on the held part, which no weight sees: see [dense].
func (s *state) cut(ctx context.Context, b blockmask.Block, at, stop int, parts []*part) error {
	width := s.width(b)
	p, err := s.own(ctx, b, at, stop, parts)
	if err != nil {
		return err
	}
	defer func() { s.alone = nil }()
	if width < 1 || width > p.In {
		return fmt.Errorf("%s has %d channels and cannot keep %d", b, p.In, width)
	}
	kept, err := s.given(b, p.In)
	if err != nil {
		return err
	}
	few := s.Memory > 0 && CutBytes(p.In, p.Out) > s.Memory // then sums are of the kept channels only
	if few && kept == nil {
		if kept, err = s.strongest(ctx, b, at, stop, p, width); err != nil {
			return err
		}
	}
	of := kept
	if !few {
		of = nil
	}
	q, held, err := s.sums(ctx, b, at, stop, p, of)
	if err != nil {
		return err
	}
	began := time.Now()
	if kept == nil {
		if kept, err = q.fit.selectChannels(width); err != nil {
			return fmt.Errorf("%s: %w", b, err)
		}
	}
	if !few {
		q = q.of(kept)
	}
	lambdas := widthLambdas
	if s.Trial {
		lambdas = trialLambdas
	}
	var columns *mat.Dense
	var lambda, before float64
	if p.norm != nil {
		columns, lambda, before, err = s.chooseNormed(ctx, b, at, stop, p, q, kept, lambdas)
	} else {
		columns, lambda, before, err = q.fitKept(p, kept, lambdas)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if err := s.install(p, b, kept, columns, q.fit, lambda); err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if s.Spent != nil && p.norm == nil { // else the model runs, too
		*s.Spent += time.Since(began)
	}
	after, err := s.judge(ctx, at, stop)
	if err != nil {
		return err
	}
	p.out.Method, p.out.Lambda = Width, lambda
	p.out.Before, p.out.After = jsonnum.Float(before/float64(held)), jsonnum.Float(after/float64(held))
	return nil
}

// CutBytes is the memory that choosing channels of an FFN takes, k of them with d outputs each: the sums of two parts and an inverse, all
// (k, k) doubles, a fourth for garbage and for what an engine keeps, and solutions and blocks. A test measures it.
func CutBytes(k, d int) int64 { return 8 * 4 * int64(k) * int64(k+d+2*blockRows) }

// sums are those of an FFN's features, or of some of them, with what is missing behind it and what it adds itself as the target; held is
// how many numbers the held part's target has.
func (s *state) sums(ctx context.Context, b blockmask.Block, at, stop int, p *part, of []int) (q *dense, held int, err error) {
	q = &dense{k: p.In, d: p.Out}
	if of != nil {
		q.k = len(of)
	}
	count := p.rows[0] == 0
	err = s.passOwn(ctx, b, at, stop, p, func(x *batch, r *rows) error {
		if count {
			p.count(r.taps[p])
		}
		target := r.residual
		for i, v := range r.out {
			target[i] += v
		}
		if x.held {
			held += len(target)
		}
		if p.norm != nil {
			if _, err := behindNorm(ctx, s.e, p, r, target); err != nil {
				return err
			}
		}
		return q.sum(ctx, s.e, p.Name, x.held, r.n, columnsOf(r.taps[p].Features, r.n, p.In, of), target)
	})
	if err != nil {
		return nil, 0, err
	}
	q.fit.loose, q.held.loose = true, true
	return q, held, nil
}

// passOwn is [state.pass] for the output projection of an FFN that is to lose channels: that its form does not allow a fit is an error.
func (s *state) passOwn(ctx context.Context, b blockmask.Block, at, stop int, p *part, visit func(*batch, *rows) error) error {
	reason, err := s.pass(ctx, at, stop, []*part{p}, true, visit)
	if err == nil && reason != "" {
		err = fmt.Errorf("%s cannot lose channels: %s", b, reason)
	}
	return err
}

// columnsOf is some columns of a matrix of n rows and k columns; all where of is nil.
func columnsOf(m []float32, n, k int, of []int) []float32 {
	if of == nil {
		return m
	}
	out := make([]float32, 0, n*len(of))
	for i := range n {
		for _, c := range of {
			out = append(out, m[i*k+c])
		}
	}
	return out
}

// strongest are the width channels of an FFN that add the most by their norms alone: that of what comes in, times that of the column.
// It takes no memory to speak of, and loses about a twentieth more than [normal.selectChannels] does.
func (s *state) strongest(ctx context.Context, b blockmask.Block, at, stop int, p *part, width int) ([]int, error) {
	err := s.passOwn(ctx, b, at, stop, p, func(_ *batch, r *rows) error {
		p.count(r.taps[p])
		return nil
	})
	if err != nil {
		return nil, err
	}
	score, columns := slices.Clone(p.power), make([]float64, p.In)
	for i, w := range p.Weights {
		columns[i%p.In] += float64(w) * float64(w)
	}
	for c, v := range columns {
		score[c] *= v
	}
	order := make([]int, p.In)
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(score[y], score[x]) })
	kept := order[:width]
	slices.Sort(kept)
	return kept, nil
}

// of is the equations of some of the features.
func (q *dense) of(kept []int) *dense {
	return &dense{k: len(kept), d: q.d, fit: q.fit.of(kept), held: q.held.of(kept), fitOnly: q.fitOnly}
}

// fitKept fits the columns of the kept channels, (len(kept), d), with the equations of these alone. lambda is 0 where the
// original ones are best; before is the held part's loss with those.
func (q *dense) fitKept(p *part, kept []int, lambdas []float64) (columns *mat.Dense, lambda, before float64, err error) {
	start := mat.NewDense(len(kept), q.d, nil)
	for i, c := range kept {
		for o := range q.d {
			start.Set(i, o, float64(p.Weights[o*p.In+c]))
		}
	}
	fitted, err := q.fit.from(start)
	if err != nil {
		return nil, 0, 0, err
	}
	held, err := q.held.from(start)
	if err != nil {
		return nil, 0, 0, err
	}
	columns, lambda, err = chooseLambda(fitted, start, lambdas, held.energy, held.loss)
	return columns, lambda, held.energy, err
}

// chooseLambda solves for changes of start with some lambdas, and returns start plus the one whose loss is the least, and its lambda; start
// itself and 0 where none is below before.
func chooseLambda(fitted *normal, start *mat.Dense, lambdas []float64, before float64, loss func(change *mat.Dense) (float64, error)) (*mat.Dense, float64, error) {
	best, lambda := start, 0.0
	for _, l := range lambdas {
		change, used, err := fitted.solve(l)
		if why := unsolvable(""); errors.As(err, &why) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		now, err := loss(change)
		if err != nil {
			return nil, 0, err
		}
		if now < before {
			change.Add(change, start)
			before, best, lambda = now, change, used
		}
	}
	return best, lambda, nil
}

// install puts the fitted columns into the loaded model, with zeros for the channels that go, and keeps what the file will hold. h and
// lambda are the equations of the kept channels that they are rounded by; nil: each is rounded for itself.
func (s *state) install(p *part, b blockmask.Block, kept []int, columns *mat.Dense, h *normal, lambda float64) error {
	narrow, full := make([]float32, p.Out*len(kept)), make([]float32, p.Out*p.In)
	for i, c := range kept {
		for o, v := range columns.RawRowView(i) {
			narrow[o*len(kept)+i], full[o*p.In+c] = float32(v), float32(v)
		}
	}
	indices, err := blockmask.NewIndices(kept)
	if err != nil {
		return err
	}
	n := Narrowed{Tensor: p.Name, Kept: indices}
	importance := make([]float32, len(kept))
	for i, c := range kept {
		importance[i] = float32(p.power[c] / float64(max(1, p.rows[0])))
	}
	if n.Data, err = s.rounded(&Projection{Name: p.Name, In: len(kept), Out: p.Out}, narrow, importance, h, lambda); err != nil {
		return err
	}
	s.res.narrow(b, n)
	data, err := s.w.Spread(p.Projection, n)
	if err == nil && data == nil {
		data, err = s.encode(p, 0, full)
	}
	if err != nil {
		return err
	}
	return s.set([]*part{p}, [][]byte{data})
}

// given are the channels of b that the request keeps, ascending; nil where they are still to be chosen.
func (s *state) given(b blockmask.Block, channels int) ([]int, error) {
	kept, ok := s.Kept[b]
	switch {
	case !ok:
		return nil, nil
	case kept.Max() >= channels:
		return nil, fmt.Errorf("%s: it is to keep channel %d, and has %d, counted from 0", b, kept.Max(), channels)
	}
	return slices.Collect(kept.All()), nil
}
