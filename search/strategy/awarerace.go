package strategy

import (
	"context"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
)

// leastLook is how many sequences a difference must have been seen on before somebody drops out.
const leastLook = 4

// arm is a candidate in the race.
type arm struct {
	*fit.Span
	losses []float64 // mean of each held sequence that it has run on
}

// fit fits the map of every candidate.
func (a *Aware) fit(ctx context.Context, removed blockmask.Mask, kept []int, arms []*arm) error {
	for _, seqs := range a.Fit {
		x, err := fit.Streams(ctx, a.Runner, seqs, removed, kept)
		if err != nil {
			return err
		}
		n := len(seqs) * len(seqs[0].Tokens)
		for _, s := range arms {
			if err := s.Add(ctx, a.Runner, x, n); err != nil {
				return err
			}
		}
		a.ran(nil, n, float64(len(kept))+float64(len(arms))*a.MapCost)
		if err := a.stopped(); err != nil {
			return err
		}
	}
	for _, s := range arms {
		s.Solve()
	}
	return nil
}

// leading is the best of those that have seen most.
func leading(arms []*arm) (best int) {
	for i, s := range arms {
		b := arms[best]
		if len(s.losses) > len(b.losses) || len(s.losses) == len(b.losses) && (mean(s.losses) < mean(b.losses) || math.IsNaN(mean(b.losses))) {
			best = i
		}
	}
	return best
}

// race runs the model and the candidates on the held part, and returns the model's mean loss of each sequence.
func (a *Aware) race(ctx context.Context, removed blockmask.Mask, kept []int, arms []*arm) (base []float64, err error) {
	n := len(a.Runner.Blocks())
	alive := slices.Clone(arms)
	for _, seqs := range a.Held {
		tokens := len(seqs) * len(seqs[0].Tokens)
		x, err := fit.Streams(ctx, a.Runner, seqs, removed, kept)
		if err != nil {
			return nil, err
		}
		rows, err := a.Runner.EvalFrom(ctx, seqs, removed, n, x[n])
		if err != nil {
			return nil, err
		}
		base = append(base, means(rows)...)
		a.ran(nil, tokens, float64(len(kept))+a.Cost.Head)
		for _, s := range alive {
			in, err := s.Behind(ctx, a.Runner, x, tokens)
			if err != nil {
				return nil, err
			}
			if rows, err = a.Runner.EvalFrom(ctx, seqs, removed.Union(s.Mask), s.Stop, in); err != nil {
				return nil, err
			}
			s.losses = append(s.losses, means(rows)...)
			a.ran(s.Mask, tokens, float64(s.After)+a.Cost.Head+a.MapCost/3)
			if err := a.stopped(); err != nil {
				return nil, err
			}
		}
		alive = a.drop(alive)
	}
	return base, nil
}

// drop takes those out that are clearly behind. What is no number is behind everything.
func (a *Aware) drop(alive []*arm) []*arm {
	best := alive[leading(alive)]
	if a.Drop <= 0 || len(best.losses) < leastLook {
		return alive
	}
	return slices.DeleteFunc(slices.Clone(alive), func(s *arm) bool {
		diff := make([]float64, len(s.losses))
		for i := range diff {
			diff[i] = s.losses[i] - best.losses[i]
		}
		m, ss := mean(diff), 0.0
		for _, d := range diff {
			ss += (d - m) * (d - m)
		}
		n := float64(len(diff))
		return s != best && !(m <= a.Drop*math.Sqrt(ss/(n-1)/n))
	})
}

// means is each sequence's mean loss over the positions that something follows.
func means(rows [][]float64) (out []float64) {
	for _, row := range rows {
		out = append(out, mean(row[:len(row)-1]))
	}
	return out
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
