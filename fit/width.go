package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	parts = []*part{p}
	if width < 1 || width > p.In {
		return fmt.Errorf("%s has %d channels and cannot keep %d", b, p.In, width)
	}
	q := dense{k: p.In, d: p.Out}
	held := 0
	reason, err := s.pass(ctx, at, stop, parts, true, func(x *batch, r *rows) error {
		p.count(r.taps[p])
		target := r.residual // what is missing behind the FFN, and what it adds itself
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
		return q.sum(ctx, s.e, p.Name, x.held, r.n, r.taps[p].Features, target)
	})
	if err == nil && reason != "" {
		err = fmt.Errorf("%s cannot lose channels: %s", b, reason)
	}
	if err != nil {
		return err
	}
	q.fit.loose, q.held.loose = true, true
	kept, err := s.chosen(b, &q, width)
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	lambdas := widthLambdas
	if s.Trial {
		lambdas = trialLambdas
	}
	var columns *mat.Dense
	var lambda, before float64
	if p.norm != nil {
		columns, lambda, before, err = s.chooseNormed(ctx, b, at, stop, p, &q, kept, lambdas)
	} else {
		columns, lambda, before, err = q.fitKept(p, kept, lambdas)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	if err := s.install(p, b, kept, columns); err != nil {
		return err
	}
	after, err := s.judge(ctx, at, stop)
	if err != nil {
		return err
	}
	p.out.Method, p.out.Lambda = Width, lambda
	p.out.Before, p.out.After = jsonnum.Float(before/float64(held)), jsonnum.Float(after/float64(held))
	return nil
}

// fitKept fits the columns of the kept channels, (len(kept), d). lambda is 0 where the original ones are best; before is the held
// part's loss with those.
func (q *dense) fitKept(p *part, kept []int, lambdas []float64) (columns *mat.Dense, lambda, before float64, err error) {
	start := mat.NewDense(len(kept), q.d, nil)
	for i, c := range kept {
		for o := range q.d {
			start.Set(i, o, float64(p.Weights[o*p.In+c]))
		}
	}
	fitted, err := q.fit.of(kept).from(start)
	if err != nil {
		return nil, 0, 0, err
	}
	held, err := q.held.of(kept).from(start)
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

// install puts the fitted columns into the loaded model, with zeros for the channels that go, and keeps what the file will hold.
func (s *state) install(p *part, b blockmask.Block, kept []int, columns *mat.Dense) error {
	narrow, full := make([]float32, p.Out*len(kept)), make([]float32, p.Out*p.In)
	for i, c := range kept {
		for o, v := range columns.RawRowView(i) {
			narrow[o*len(kept)+i], full[o*p.In+c] = float32(v), float32(v)
		}
	}
	data, err := s.encode(p, 0, full)
	if err != nil {
		return err
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
	if n.Data, err = s.w.Encode(&Projection{Name: p.Name, In: len(kept), Out: p.Out}, narrow, importance); err != nil {
		return err
	}
	s.res.narrow(b, n)
	return s.set([]*part{p}, [][]byte{data})
}

// chosen are the width channels of b that stay, ascending: those of the request, or else the ones that the sums in q speak for.
func (s *state) chosen(b blockmask.Block, q *dense, width int) ([]int, error) {
	kept, ok := s.Kept[b]
	switch {
	case !ok:
		return q.fit.selectChannels(width)
	case kept.Max() >= q.k:
		return nil, fmt.Errorf("it is to keep channel %d, and has %d, counted from 0", kept.Max(), q.k)
	}
	return slices.Collect(kept.All()), nil
}
