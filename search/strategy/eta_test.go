package strategy

import (
	"math"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// watch runs a search on a clock that takes as long for a block-token as perToken says, and returns after each step how far the search.ETA
// was off, as a part of the whole time.
func watch(t *testing.T, s search.Strategy, l *search.Ledger, model *search.Model, e *search.ETA, goal search.Goal, perToken func(spent float64) float64) []float64 {
	t.Helper()
	now := 0.0 // seconds
	l.OnRun = func(r search.BatchRun) {
		took := r.Cost * perToken(l.Spent())
		now += took
		e.Ran(r, time.Duration(took*float64(time.Second)))
	}
	var at, left []float64
	_, err := search.Run(t.Context(), s, model, blockmask.Mix, goal, func(ev search.Event) {
		if d, ok := ev.(search.StepDone); ok {
			e.Step(d.Step, d.Progress)
			rest, ok := e.Remaining()
			if !ok {
				t.Error("no search.ETA after a step")
			}
			at, left = append(at, now), append(left, rest.Seconds())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var off []float64
	for i := range at {
		off = append(off, (at[i]+left[i]-now)/now)
	}
	return off
}

func TestETAOfGreedy(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(12)
	l := searchtest.NewLedger(t, &searchtest.Texts{N: 16, Mean: searchtest.Layered("eta"), Branching: true}, model)
	e := search.NewETA(l, blockmask.Mix, GreedyCost(l, blockmask.Mix), stepsTo(model, search.Goal{Blocks: 8}))
	if _, ok := e.Remaining(); ok {
		t.Error("an search.ETA before anything ran")
	}
	for i, off := range watch(t, Greedy{l}, l, model, e, search.Goal{Blocks: 8}, func(float64) float64 { return 1e-3 }) {
		if math.Abs(off) > 0.1 {
			t.Errorf("after step %d: off by %.0f%%", i+1, 100*off)
		}
	}
	if left, ok := e.Remaining(); !ok || left != 0 {
		t.Errorf("%v left at the end", left)
	}
}

// Within 20% after the first step, on models of several depths and with a machine whose speed varies.
func TestETAOfFast(t *testing.T) {
	t.Parallel()
	for i := range 6 {
		layers := []int{12, 24, 32}[i/2]
		model := searchtest.PlainModel(layers)
		src := &searchtest.Texts{N: 64, Mean: searchtest.Layered("eta"), Noise: .01, Branching: true}
		if i%2 == 1 {
			src.Lasting, src.Noise = .04, .015 // as on a real model
		}
		l := searchtest.NewLedger(t, src, model)
		f := NewFast(l, 2)
		blocks := 2 * layers / 3
		e := search.NewETA(l, blockmask.Mix, f.StepCost(blockmask.Mix), stepsTo(model, search.Goal{Blocks: blocks}))
		wobble := func(spent float64) float64 { return 1e-3 * (1 + 0.1*math.Sin(spent/5000)) }
		for i, off := range watch(t, f, l, model, e, search.Goal{Blocks: blocks}, wobble) {
			t.Logf("%d layers, step %d: off by %.0f%%", layers, i+1, 100*off)
			if math.Abs(off) > 0.2 {
				t.Errorf("%d layers, after step %d: off by %.0f%%", layers, i+1, 100*off)
			}
		}
	}
}

func stepsTo(model *search.Model, goal search.Goal) search.StepsLeft {
	return func(removed blockmask.Mask) int { return model.Steps(blockmask.Mix, goal, removed) }
}

// With a goal that is no number of blocks, what was removed says how many steps are left.
func TestETAWithoutANumberOfSteps(t *testing.T) {
	t.Parallel()
	model := searchtest.PlainModel(12)
	l := searchtest.NewLedger(t, &searchtest.Texts{N: 16, Mean: searchtest.Layered("eta"), Branching: true}, model)
	goal := search.Goal{Ratio: .3}
	eta := search.NewETA(l, blockmask.Mix, GreedyCost(l, blockmask.Mix), stepsTo(model, goal))
	off := watch(t, Greedy{l}, l, model, eta, goal, func(float64) float64 { return 1e-3 })
	for i, o := range off[len(off)/2:] {
		if math.Abs(o) > 0.3 {
			t.Errorf("step %d of the second half: off by %.0f%%", i+1, 100*o)
		}
	}
}
