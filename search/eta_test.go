package search

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
)

// watch runs a search on a clock that takes as long for a block-token as perToken says, and returns after each step how far the ETA
// was off, as a part of the whole time.
func watch(t *testing.T, s Strategy, l *Ledger, model *Model, e *ETA, goal Goal, perToken func(spent float64) float64) []float64 {
	t.Helper()
	now := 0.0 // seconds
	l.OnRun = func(r BatchRun) {
		took := r.Cost * perToken(l.Spent())
		now += took
		e.Ran(r, time.Duration(took*float64(time.Second)))
	}
	var at, left []float64
	_, err := Run(t.Context(), s, model, blockmask.Mix, goal, func(ev Event) {
		if d, ok := ev.(StepDone); ok {
			e.Step(d.Step, d.Progress)
			rest, ok := e.Remaining()
			if !ok {
				t.Error("no ETA after a step")
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
	model := plainModel(12)
	l := newLedger(t, &texts{n: 16, mean: layered("eta"), branches: true}, model)
	e := NewETA(l, blockmask.Mix, GreedyCost(l, blockmask.Mix), 8, true)
	if _, ok := e.Remaining(); ok {
		t.Error("an ETA before anything ran")
	}
	for i, off := range watch(t, Greedy{l}, l, model, e, Goal{Blocks: 8}, func(float64) float64 { return 1e-3 }) {
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
	for i := range 6 {
		layers := []int{12, 24, 32}[i/2]
		model := plainModel(layers)
		src := &texts{n: 64, mean: layered("eta"), noise: .01, branches: true}
		if i%2 == 1 {
			src.lasting, src.noise = .04, .015 // as on a real model
		}
		l := newLedger(t, src, model)
		f := NewFast(l, 2)
		blocks := 2 * layers / 3
		e := NewETA(l, blockmask.Mix, f.StepCost(blockmask.Mix), blocks, true)
		wobble := func(spent float64) float64 { return 1e-3 * (1 + 0.1*math.Sin(spent/5000)) }
		for i, off := range watch(t, f, l, model, e, Goal{Blocks: blocks}, wobble) {
			t.Logf("%d layers, step %d: off by %.0f%%", layers, i+1, 100*off)
			if math.Abs(off) > 0.2 {
				t.Errorf("%d layers, after step %d: off by %.0f%%", layers, i+1, 100*off)
			}
		}
	}
}

// With a goal that is no number of blocks, progress says how many steps there will be.
func TestETAWithoutANumberOfSteps(t *testing.T) {
	model := plainModel(12)
	l := newLedger(t, &texts{n: 16, mean: layered("eta"), branches: true}, model)
	off := watch(t, Greedy{l}, l, model, NewETA(l, blockmask.Mix, GreedyCost(l, blockmask.Mix), 0, false), Goal{Ratio: .3}, func(float64) float64 { return 1e-3 })
	for i, o := range off[len(off)/2:] {
		if math.Abs(o) > 0.3 {
			t.Errorf("step %d of the second half: off by %.0f%%", i+1, 100*o)
		}
	}
}

// More time never buys less; what is predicted fits; and too little time is an error that says how much is needed.
func TestSchedule(t *testing.T) {
	fit := Fit{
		Cost: Cost{Blocks: plainModel(32).Blocks, Head: 5}, Unit: blockmask.Mix, Steps: 16,
		Available: 256, Tokens: 512, Scored: 511, Speed: 5e4,
	}
	last := 0
	for _, minutes := range []int{5, 10, 20, 40, 80, 160, 3000} {
		fit.Time = time.Duration(minutes) * time.Minute
		s, err := fit.Schedule()
		if err != nil {
			if last > 0 || !strings.Contains(err.Error(), "at least") {
				t.Errorf("%d minutes: %v", minutes, err)
			}
			continue
		}
		if s.Sequences < last || s.Predicted > fit.Speed*fit.Time.Seconds() || s.Refine != 0 {
			t.Errorf("%d minutes: %+v after %d sequences", minutes, s, last)
		}
		last = s.Sequences
	}
	if last != 256 {
		t.Errorf("two days are enough for %d sequences", last)
	}
	fit.Refine = true
	if s, err := fit.Schedule(); err != nil || s.Refine <= 0 || s.Predicted > fit.Speed*fit.Time.Seconds() {
		t.Errorf("with refinement: %+v, %v", s, err)
	}
}

// What a schedule predicts is what fast then takes, or more.
func TestScheduleKeepsItsPromise(t *testing.T) {
	for _, layers := range []int{12, 24, 32} {
		for _, n := range []int{16, 64, 200} {
			model := plainModel(layers)
			src := &texts{n: n, mean: layered("promise"), noise: .01, branches: true}
			fit := Fit{
				Cost: plainCost(model), Unit: blockmask.Mix, Steps: 8, Available: n,
				Tokens: textTokens, Scored: textTokens - 1, Speed: 1e6, Time: time.Hour,
			}
			s, err := fit.Schedule()
			if err != nil || s.Sequences != n {
				t.Fatalf("%+v, %v", s, err)
			}
			l := newLedger(t, src, model)
			if _, err := Run(t.Context(), NewFast(l, 1), model, blockmask.Mix, Goal{Blocks: 8}, nil); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d layers, %d sequences: predicted %.0f, took %.2f of it", layers, n, s.Predicted, l.Spent()/s.Predicted)
			if l.Spent() > s.Predicted/reserve || l.Spent() < s.Predicted/3 {
				t.Errorf("%d layers, %d sequences: predicted %.0f, took %.0f", layers, n, s.Predicted, l.Spent())
			}
		}
	}
}
