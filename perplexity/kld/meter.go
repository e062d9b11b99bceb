package kld

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Meter compares a model with a base file, window by window.
type Meter struct {
	base         *BaseReader
	sums         sums
	klds, deltas []float32
	next         int
}

// NewMeter returns a meter that reads all of base, from its first window on.
func NewMeter(base *BaseReader) *Meter { return &Meter{base: base} }

// Window compares the next window: rows has the model's logits at its scored positions, in order.
func (m *Meter) Window(rows [][]float32) error {
	b := m.base
	if len(rows) != b.Rows() || m.next == b.Windows() {
		return fmt.Errorf("window %d with %d positions does not fit base logits of %d with %d each", m.next, len(rows), b.Windows(), b.Rows())
	}
	want, err := b.window()
	if err != nil {
		return err
	}
	first := m.next*b.Context + b.Context/2
	m.next++
	got := make([]position, len(rows))
	inParallel(len(rows), func(i int) {
		got[i] = comparePosition(rows[i], want[i], b.Tokens[first+i+1])
	})
	// In the order of the text, so that the sums are the same every time.
	for i, p := range got {
		if !isDistribution(p.mass, b.Vocab) {
			return fmt.Errorf("%w: in window %d of %d, the probabilities of position %d add up to %.3g", ErrDamaged, m.next, b.Windows(), b.Context/2+i, p.mass)
		}
		m.sums.add(p)
		m.klds = append(m.klds, float32(p.kld))
		m.deltas = append(m.deltas, p.deltaP)
	}
	return nil
}

// ErrDamaged is wrapped by errors about a base file with rows that are no probabilities: its size is right, so that only its content
// tells.
var ErrDamaged = errors.New("damaged")

// isDistribution reports whether probabilities of a base file add up to 1, as far as its form allows: it raises what is
// logitRange below the likeliest token to that, and what is below leastLogProb is not in mass.
func isDistribution(mass float32, vocab int) bool {
	off := math.Abs(float64(mass) - 1)
	return off <= 0.05+2*math.Exp(leastLogProb)*float64(vocab)
}

// Report returns the statistics of the windows so far.
func (m *Meter) Report() Report { return m.sums.report(m.klds, m.deltas) }

// Finite reports whether the model's predictions were numbers throughout.
func (r Report) Finite() bool {
	return !math.IsNaN(r.PPL.Value) && !math.IsInf(r.PPL.Value, 0) && !math.IsNaN(r.KLD.Value) && !math.IsInf(r.KLD.Value, 0)
}

// inParallel calls f for 0 .. n-1 on all processors.
func inParallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
