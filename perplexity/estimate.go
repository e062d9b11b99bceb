package perplexity

import (
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/engine"
)

// Sum is what is kept of one sequence's token losses: enough for either convention's perplexity and its error.
type Sum struct {
	NLL     float64 // sum of the losses in nats
	Squares float64 // sum of their squares
	Count   int     // number of scored positions
}

// add counts one loss. What is no number, or infinite, counts as +Inf: such a model predicts nothing.
func (s *Sum) add(nll float64) {
	if math.IsNaN(nll) || math.IsInf(nll, 0) {
		nll = math.Inf(1)
	}
	s.NLL += nll
	s.Squares += nll * nll
	s.Count++
}

// Mean returns the mean loss of a scored token.
func (s Sum) Mean() float64 { return s.NLL / float64(s.Count) }

// sumOf adds up the losses of a sequence in the order of its tokens.
func sumOf(seq engine.Sequence, nll []float64) Sum {
	var s Sum
	for p, target := range seq.Targets {
		if target >= 0 {
			s.add(nll[p])
		}
	}
	return s
}

// Estimate is a perplexity with its standard error.
type Estimate struct {
	Convention Convention
	PPL        float64 // +Inf for a broken model
	StdErr     float64 // standard error of PPL; NaN where it is unknown: of one observation, or of a broken model
	Sequences  int
	Scored     int // positions
}

// String returns the line with which llama-perplexity ends. Only with [Windows] are its digits comparable. An unknown error is left out.
func (e Estimate) String() string {
	if math.IsNaN(e.StdErr) {
		return fmt.Sprintf("Final estimate: PPL = %.4f", e.PPL)
	}
	return fmt.Sprintf("Final estimate: PPL = %.4f +/- %.5f", e.PPL, e.StdErr)
}

// estimate returns the perplexity of the sequences whose sums are given, in the order of the set.
func estimate(c Convention, sums []Sum) Estimate {
	e := Estimate{Convention: c, Sequences: len(sums), StdErr: math.NaN()}
	obs := observations(c, sums)
	mean := obs.Mean()
	e.PPL = math.Exp(mean)
	// The variance of the mean: (E[x^2] - E[x]^2) / (n-1), as llama-perplexity has it.
	if v := obs.Squares/float64(obs.Count) - mean*mean; obs.Count > 1 && !math.IsInf(v, 1) {
		e.StdErr = e.PPL * math.Sqrt(max(0, v)/float64(obs.Count-1))
	}
	for _, s := range sums {
		e.Scored += s.Count
	}
	return e
}

// observations returns the sum over what the convention averages: every token, or every sequence's mean.
func observations(c Convention, sums []Sum) Sum {
	var all Sum
	for _, s := range sums {
		if c == Samples {
			all.add(s.Mean())
			continue
		}
		all.NLL += s.NLL
		all.Squares += s.Squares
		all.Count += s.Count
	}
	return all
}

// PPL returns the perplexity of the sequences whose sums are given, by convention c. It is +Inf where any loss is.
func PPL(c Convention, sums []Sum) float64 { return estimate(c, sums).PPL }
