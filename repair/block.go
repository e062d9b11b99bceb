package repair

import (
	"context"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/ggufprune/ggufprune/blockmask"
)

// block brings both streams to boundary stop, and repairs the block at index at on the way.
func (s *state) block(ctx context.Context, b blockmask.Block, at, stop int) error {
	out := Block{Block: b}
	p, reason, err := s.w.Projection(b)
	if err != nil {
		return err
	}
	if p != nil {
		out.Tensor = p.Name
	}
	var fit, held *normal
	if reason == "" {
		if out.Method = s.method(p); out.Method == Map {
			fit, held = newNormal(p.Out, p.Out), newNormal(p.Out, p.Out)
		} else {
			fit, held = newNormal(p.In, p.Out), newNormal(p.In, p.Out)
		}
	}
	power := make([]float64, 0)
	if p != nil {
		power = make([]float64, p.In)
	}
	if reason, err = s.advance(ctx, at, stop, p, reason, &out, fit, held, power); err != nil {
		return err
	}
	if reason == "" {
		if reason, err = s.fit(ctx, at, stop, p, &out, fit, held, power); err != nil {
			return err
		}
	}
	out.Skipped = reason
	s.res.Blocks = append(s.res.Blocks, out)
	for _, x := range s.batches {
		x.pruned, x.next = x.next, nil
	}
	return nil
}

func (s *state) method(p *Projection) Method {
	switch {
	case s.Method != Auto:
		return s.Method
	case p.In <= MaxFull:
		return Full
	}
	return Map
}

// advance runs every batch over the block, unpruned and pruned, and collects the normal equations.
func (s *state) advance(ctx context.Context, at, stop int, p *Projection, reason string, out *Block, fit, held *normal, power []float64) (string, error) {
	for _, x := range s.batches {
		n := x.positions()
		var err error
		if x.dense, err = s.e.Segment(ctx, x.seqs, nil, at, stop, x.dense, "", nil); err != nil {
			return "", err
		}
		tap, features := "", []float32(nil)
		if reason == "" {
			tap, features = p.Name, make([]float32, n*p.In)
		}
		if x.next, err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned, tap, features); err != nil {
			return "", err
		}
		if reason != "" {
			continue
		}
		if reason = linear(p, x.pruned, x.next, features, n); reason != "" {
			continue
		}
		residual := difference(x.dense, x.next)
		scaleRows(x.dense, n, residual, features)
		eq := fit
		if x.held {
			eq = held
		}
		eq.n += n
		eq.energy += square(residual)
		for i, f := range features {
			power[i%p.In] += float64(f) * float64(f)
		}
		used := features
		if out.Method == Map {
			used = outputs(p, x.pruned, x.next, n)
			scaleRows(x.dense, n, used)
		}
		if err := s.e.Product(ctx, p.Name, n, used, used, eq.g); err != nil {
			return "", err
		}
		if err := s.e.Product(ctx, p.Name, n, used, residual, eq.c); err != nil {
			return "", err
		}
	}
	return reason, nil
}

// fit chooses lambda, changes the weights, and runs the pruned batches through them.
func (s *state) fit(ctx context.Context, at, stop int, p *Projection, out *Block, fit, held *normal, power []float64) (reason string, err error) {
	out.Before = held.energy / float64(held.n*held.d)
	if held.energy == 0 {
		return "the streams are the same", nil
	}
	best := held.energy * (1 - minGain)
	if best, out.Lambda, err = climb(best, func(lambda float64) (float64, float64, error) {
		x, used, err := fit.solve(lambda)
		if err != nil {
			return 0, 0, err
		}
		return held.loss(x), used, nil
	}); err != nil {
		return err.Error(), nil //nolint:nilerr // the block stays as it is
	}
	if out.Lambda == 0 {
		return "no fit lowers the held-out loss", nil
	}
	x, _, err := fit.plus(held).solve(out.Lambda)
	if err != nil {
		return err.Error(), nil //nolint:nilerr // the block stays as it is
	}
	weights, err := s.changed(ctx, p, x, out.Method)
	if err != nil {
		return "", err
	}
	importance := make([]float32, p.In)
	for i := range importance {
		importance[i] = float32(power[i] / float64(fit.n+held.n))
	}
	data, err := s.w.Encode(p, weights, importance)
	if err != nil {
		return "", err
	}
	if slices.Equal(data, p.Data) {
		return "the change is below the precision of the weights", nil
	}
	return s.install(ctx, at, stop, p, out, held, data)
}

// changed returns W + X^T, or W + X^T W.
func (s *state) changed(ctx context.Context, p *Projection, x *mat.Dense, method Method) ([]float32, error) {
	w := slices.Clone(p.Weights)
	if method == Map {
		m := make([]float32, p.Out*p.Out)
		for i := range p.Out {
			for j, v := range x.RawRowView(i) {
				m[i*p.Out+j] = float32(v)
			}
		}
		change := make([]float64, p.Out*p.In)
		if err := s.e.Product(ctx, p.Name, p.Out, m, p.Weights, change); err != nil {
			return nil, err
		}
		for i, v := range change {
			w[i] += float32(v)
		}
		return w, nil
	}
	for i := range p.In {
		for j, v := range x.RawRowView(i) {
			w[j*p.In+i] += float32(v)
		}
	}
	return w, nil
}

// install puts the new weights into the model and runs the pruned batches again. When the encoded weights turn out not to help, the old
// ones come back.
func (s *state) install(ctx context.Context, at, stop int, p *Projection, out *Block, held *normal, data []byte) (string, error) {
	if err := s.e.SetWeight(p.Name, data); err != nil {
		return "", err
	}
	s.res.Weights[p.Name] = data
	after, streams := 0.0, make([][]float32, len(s.batches))
	for i, x := range s.batches {
		var err error
		if streams[i], err = s.e.Segment(ctx, x.seqs, s.Removed, at, stop, x.pruned, "", nil); err != nil {
			return "", err
		}
		if x.held {
			residual := difference(x.dense, streams[i])
			scaleRows(x.dense, x.positions(), residual)
			after += square(residual)
		}
	}
	out.After = after / float64(held.n*held.d)
	if !(after < held.energy) {
		delete(s.res.Weights, p.Name)
		return "rounding to the tensor's type undoes the fit", s.e.SetWeight(p.Name, p.Data)
	}
	for i, x := range s.batches {
		x.next = streams[i]
	}
	return "", nil
}
