package find

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/strategy"
)

// flat is a source on which every block costs the same.
type flat struct{ n int }

func (s flat) Sequences() int           { return s.n }
func (s flat) Size(int) (int, int)      { return 8, 7 }
func (s flat) Branches() bool           { return true }
func (s flat) OfMean(m float64) float64 { return math.Exp(m) }
func (s flat) Known() (float64, bool)   { return 0, false }
func (s flat) Fold(which []int, l []float64) float64 {
	sum := 0.0
	for _, x := range l {
		sum += x / float64(7*len(which))
	}
	return math.Exp(sum)
}

func (s flat) Batches(which []int) ([][]int, error) {
	var out [][]int
	for _, i := range which {
		out = append(out, []int{i})
	}
	return out, nil
}

func (s flat) Losses(_ context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool,
	got func(i int, losses []float64) error,
) error {
	for i := -1; i < len(candidates); i++ {
		if i < 0 && !base {
			continue
		}
		m := removed
		if i >= 0 {
			m = removed.Union(candidates[i])
		}
		if err := got(i, []float64{7 + 0.1*float64(len(m)) + 0.001*float64(batch[0])}); err != nil {
			return err
		}
	}
	return nil
}

// A refinement is three phases, each of which begins anew and is not done before it ends; every step is an event.
func TestWatcher(t *testing.T) {
	t.Parallel()
	model := &search.Model{Params: map[blockmask.Block]uint64{}, Total: 100}
	for i := range 6 {
		for _, k := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
			b := blockmask.Block{Layer: i, Kind: k}
			model.Blocks = append(model.Blocks, b)
			model.Params[b] = 1
		}
	}
	ledger := search.NewLedger(flat{16}, search.Cost{Blocks: model.Blocks, Head: 1}, nil, "")
	q := Options{Unit: blockmask.Mix, Goal: search.Goal{Blocks: 3}, Method: Method{Strategy: "refine", Metric: perplexity.NLL}}
	spec, err := strategy.Find("refine")
	if err != nil {
		t.Fatal(err)
	}
	d, err := spec.Prepare(strategy.Setup{Ledger: ledger, Unit: q.Unit, Goal: q.Goal, Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	l := new(progresstest.Listener)
	w := newWatcher(l, ledger, d, q, func(removed blockmask.Mask) int { return model.Steps(q.Unit, q.Goal, removed) })
	res, err := d.Run(t.Context(), model, w.event)
	w.stop()
	if err != nil || len(res.Steps) != 3 {
		t.Fatalf("%d steps, %v", len(res.Steps), err)
	}
	if got := strings.Join(l.Phases, ","); got != phaseSearch+","+phaseRefine+","+phaseOrder {
		t.Errorf("phases %s", got)
	}
	for phase, parts := range l.Parts {
		for _, p := range parts {
			if p >= searchUnits || p < 0 {
				t.Fatalf("%s: %d of %d before the end", phase, p, searchUnits)
			}
		}
	}
	if first := l.Parts[phaseRefine]; len(first) == 0 || first[0] > searchUnits*9/10 {
		t.Errorf("refinement begins at %v", first)
	}
	steps := 0
	for _, e := range l.Events {
		if s, ok := e.(StepEvent); ok {
			steps++
			if s.Index != steps || s.Metric != "ppl" || s.Block == "" {
				t.Errorf("%+v", s)
			}
		}
	}
	if steps != 3 || !strings.Contains(l.Status(), ": ") {
		t.Errorf("%d step events, status %q", steps, l.Status())
	}
}
