package perplexity

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func sums(losses ...[]float64) []Sum {
	var out []Sum
	for _, l := range losses {
		var s Sum
		for _, x := range l {
			s.add(x)
		}
		out = append(out, s)
	}
	return out
}

// Losses 1, 2, 3, 6: mean 3, mean square 12.5, variance 3.5, error of the mean sqrt(3.5/3); by sequence: means 1.5 and 4.5.
func TestEstimateByHand(t *testing.T) {
	t.Parallel()
	in := sums([]float64{1, 2}, []float64{3, 6})
	w := estimate(Windows, in)
	if want := fmt.Sprintf("Final estimate: PPL = %.4f +/- %.5f", math.Exp(3), math.Exp(3)*math.Sqrt(3.5/3)); w.String() != want {
		t.Errorf("windows: %s, want %s", w, want)
	}
	if w.Scored != 4 || w.Sequences != 2 {
		t.Errorf("windows: %+v", w)
	}
	s := estimate(Samples, in)
	if want := math.Exp(3) * 1.5; math.Abs(s.StdErr-want) > 1e-12 || s.PPL != math.Exp(3) {
		t.Errorf("samples: %+v, want error %v", s, want)
	}
	// Unequal lengths part the conventions: (1+2+3+6+6)/5 against (1.5+5)/2.
	in = sums([]float64{1, 2}, []float64{3, 6, 6})
	if a, b := PPL(Windows, in), PPL(Samples, in); math.Abs(a-math.Exp(3.6)) > 1e-12 || math.Abs(b-math.Exp(3.25)) > 1e-12 {
		t.Errorf("windows %v, samples %v", a, b)
	}
}

// llama-perplexity's arithmetic, one token after another into two running sums, as an independent route.
func TestEstimateIsLlamaPerplexitys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		losses := rapid.SliceOfN(rapid.SliceOfN(rapid.Float64Range(0, 12), 3, 3), 1, 30).Draw(t, "losses")
		var nll, nll2 float64
		var count int
		for _, window := range losses {
			for _, v := range window {
				nll += v
				nll2 += v * v
				count++
			}
		}
		nll2 /= float64(count)
		nll /= float64(count)
		ppl := math.Exp(nll)
		nll2 -= nll * nll
		if nll2 < 1e-9 {
			return // rounding decides the sign: llama-perplexity prints an error there
		}
		nll2 = math.Sqrt(nll2 / float64(count-1))
		got := estimate(Windows, sums(losses...))
		if math.Abs(got.PPL-ppl) > 1e-10*ppl || math.Abs(got.StdErr-nll2*ppl) > 1e-6*ppl {
			t.Fatalf("%+v, want %v +/- %v", got, ppl, nll2*ppl)
		}
	})
}

func TestEstimateOfOneObservation(t *testing.T) {
	t.Parallel()
	for _, c := range []Convention{Samples, Windows} {
		if e := estimate(c, sums([]float64{2})); !math.IsNaN(e.StdErr) || e.String() != "Final estimate: PPL = 7.3891" {
			t.Errorf("%s: %+v", c, e)
		}
		// Two that are the same have an error of zero, and a broken model has none that is known.
		if e := estimate(c, sums([]float64{0.1}, []float64{0.1})); e.StdErr != 0 {
			t.Errorf("%s, two of the same: %+v", c, e)
		}
		if e := estimate(c, sums([]float64{2}, []float64{math.NaN()})); !math.IsInf(e.PPL, 1) || !math.IsNaN(e.StdErr) {
			t.Errorf("%s, broken: %+v", c, e)
		}
	}
}

// Windows run in order, so the running values come in order; shuffled lengths must not change that.
func TestRunningValues(t *testing.T) {
	t.Parallel()
	for _, conv := range []Convention{Samples, Windows} {
		set := mustSet(t, conv, variedDocs(20), withBOSTok, SetOptions{Context: 24})
		v, err := NewEvaluator(&fakeEngine{t: t, batchTokens: 60, maxSeqs: 3}, set)
		if err != nil {
			t.Fatal(err)
		}
		var ns []int
		var last float64
		est, err := v.Estimate(t.Context(), nil, func(n int, ppl float64) {
			ns = append(ns, n)
			last = ppl
			part := &Set{Convention: conv, Sequences: set.Sequences[:n]}
			if want := plainPPL(part, nil); math.Abs(ppl-want) > 1e-12*want {
				t.Errorf("%s after %d: %v, want %v", conv, n, ppl, want)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range ns {
			if n != i+1 {
				t.Fatalf("%s: running values for %v", conv, ns)
			}
		}
		if len(ns) != len(set.Sequences) || last != est.PPL {
			t.Errorf("%s: %d running values, last %v, final %v", conv, len(ns), last, est.PPL)
		}
	}
}
