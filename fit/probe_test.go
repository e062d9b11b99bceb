package fit_test

import (
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

// A probe leaves the model alone; fewer channels cost more, all of them cost nothing; and a block that is gone costs what the model
// without it loses.
func TestProbe(t *testing.T) {
	t.Parallel()
	m := fittest.New(3)
	parts, held := fittest.Parts()
	b := ffn(1)
	mixer := blockmask.Block{Layer: 2, Kind: blockmask.Mixer}
	widths := []int{fittest.Features, 7, 5, 3, 1}
	got, err := fit.Probe(t.Context(), m, m, fit.ProbeRequest{
		Widths: map[blockmask.Block][]int{b: widths}, Gone: []blockmask.Block{mixer}, Fit: parts, Judge: held,
	})
	if err != nil {
		t.Fatal(err)
	}
	losses := got.Narrow[b]
	if len(losses) != len(widths) {
		t.Fatalf("%d losses of %d widths", len(losses), len(widths))
	}
	whole, without, n := 0.0, 0.0, 0
	for _, batch := range held {
		for _, c := range []struct {
			removed blockmask.Mask
			sum     *float64
		}{{nil, &whole}, {blockmask.New(mixer), &without}} {
			rows, err := m.EvalFrom(t.Context(), batch, c.removed, 0, fittest.Embed(batch))
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				for _, l := range row[:len(row)-1] {
					*c.sum += l
					n++
				}
			}
		}
	}
	n /= 2
	if want := (without - whole) / float64(n); math.Abs(got.Gone[mixer]-want) > 1e-6*math.Abs(want) {
		t.Errorf("without %s %g, a full pass says %g", mixer, got.Gone[mixer], want)
	}
	if cost := losses[0] / got.Gone[mixer]; math.Abs(cost) > 0.02 {
		t.Errorf("with all channels the loss is %g", losses[0])
	}
	for i := 1; i < len(losses); i++ {
		if !(losses[i] > losses[i-1]) {
			t.Errorf("%d channels lose %g, %d lose %g", widths[i], losses[i], widths[i-1], losses[i-1])
		}
	}
	for i := range m.W {
		for j, w := range m.W[i] {
			if w != m.First[i][j] {
				t.Fatal("the probe has changed the model")
			}
		}
	}
}

// A trial fits what is narrowed and leaves the model as it was: it loses about what a run loses, which fits the other blocks too.
func TestTrial(t *testing.T) {
	t.Parallel()
	q := request("attn:2")
	q.Widths = map[blockmask.Block]int{ffn(1): 6, ffn(2): 4}
	run := fittest.New(4)
	want, err := fit.Run(t.Context(), run, run, q)
	if err != nil {
		t.Fatal(err)
	}
	m := fittest.New(4)
	q.Trial = true
	got, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.NLLAfter/want.NLLAfter-1) > 0.2 || got.NLLBefore != want.NLLBefore || len(want.Weights) == 0 {
		t.Errorf("%g, was %g, the run says %g, was %g", got.NLLAfter, got.NLLBefore, want.NLLAfter, want.NLLBefore)
	}
	for i := range m.W {
		for j, w := range m.W[i] {
			if w != m.First[i][j] {
				t.Fatal("a trial has changed the model")
			}
		}
	}
}
