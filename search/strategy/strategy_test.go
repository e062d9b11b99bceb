package strategy

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit/fittest"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// toySetup is a setup with everything in it that a strategy may ask for.
func toySetup(t *testing.T, toy *fittest.Toy) (Setup, *search.Model) {
	model := &search.Model{Blocks: toy.Blocks(), Params: map[blockmask.Block]uint64{}, Total: 1000}
	for i, b := range model.Blocks {
		model.Params[b] = uint64(10 + i)
	}
	src := &searchtest.Texts{N: 16, Mean: searchtest.Layered("setup"), Noise: .01, Branching: true}
	return Setup{
		Ledger: searchtest.NewLedger(t, src, model), Unit: blockmask.Mix, Goal: search.Goal{Blocks: 3}, Seed: 7, Steps: 3,
		Influence: func(context.Context) (engine.Influence, error) {
			in := engine.Influence{Blocks: map[blockmask.Block]float64{}, Positions: 1}
			for i, b := range model.Blocks {
				in.Blocks[b] = float64(i*5%len(model.Blocks)) / 10
			}
			return in, nil
		},
		Norm: func(b blockmask.Block) (float64, error) { return float64(b.Layer), nil },
		Repair: func() (*Repair, error) {
			fitted, held := fittest.Parts()
			return &Repair{Runner: toy, Weights: toy, Fit: fitted, Held: held, Text: "toy text", Width: fittest.Width, Params: 1000}, nil
		},
		Notes: &memory{notes: map[string]json.RawMessage{}, left: 100},
	}, model
}

// Every strategy of the table searches, and what it says of itself is what its entry says.
func TestAllStrategies(t *testing.T) {
	t.Parallel()
	for _, spec := range All() {
		t.Run(spec.Name, func(t *testing.T) {
			t.Parallel()
			setup, model := toySetup(t, fittest.New(4))
			p, err := spec.Prepare(setup)
			if err != nil {
				t.Fatal(err)
			}
			runs := 0
			p.OnRun(func(search.BatchRun) { runs++ })
			var names []string
			r, err := p.Run(t.Context(), model, func(e search.Event) {
				if s, ok := e.(search.Started); ok {
					names = append(names, s.Strategy)
				}
			})
			if err != nil || len(r.Removed()) != 3 || runs == 0 {
				t.Fatalf("removed %v in %d runs, %v", r.Removed(), runs, err)
			}
			if want := spec.Name; !spec.Refines && !slices.Equal(names, []string{want}) {
				t.Errorf("%q began", names)
			}
			set := p.Settings
			if set.Strategy != spec.Name || set.Goal != setup.Goal || set.Unit != setup.Unit || set.Seed != 7 || set.Sequences != 0 {
				t.Errorf("settings %+v", set)
			}
			if (p.Audit != nil) != spec.Races || (set.Confidence != 0) != spec.Races || (p.ScoredOn != "") != spec.Repairs ||
				(p.Refined != nil) != spec.Refines || (p.MaxRefine != 0) != spec.Refines {
				t.Errorf("%+v does what its entry does not say: %+v", spec, p)
			}
			if !(p.StepCost(1, nil) > 0) {
				t.Errorf("a step is expected to cost %v", p.StepCost(1, nil))
			}
		})
	}
}

// A schedule says how many sequences and candidates there are, and what refinement may cost.
func TestPrepareWithASchedule(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"fast", "refine"} {
		setup, model := toySetup(t, fittest.New(4))
		setup.Schedule, setup.Confidence = &Schedule{Sequences: 10, Admit: 5, Finalists: 1, Refine: 500}, .8
		spec, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := spec.Prepare(setup)
		if err != nil {
			t.Fatal(err)
		}
		set := p.Settings
		if set.Sequences != 10 || len(p.Use) != 10 || set.Admit != 5 || set.Finalists != 1 || set.Confidence != .8 || spec.Refines && p.MaxRefine != 500 {
			t.Errorf("%s: %+v, refinement of %v", name, set, p.MaxRefine)
		}
		if _, err := p.Run(t.Context(), model, nil); err != nil {
			t.Error(err)
		}
		for i := range 16 {
			seen := !slices.ContainsFunc(setup.Ledger.Means([]int{i}, nil), func(x float64) bool { return x != x })
			if seen != slices.Contains(p.Use, i) && !(spec.Refines && !seen) {
				t.Errorf("%s: sequence %d, used %v", name, i, seen)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	if s, err := Find(""); err != nil || s.Name != "fast" || Names()[0] != "fast" {
		t.Errorf("the default is %q, %v", s.Name, err)
	}
	if _, err := Find("clever"); err == nil || err.Error() != `unknown strategy "clever"; use one of [fast greedy refine aware oneshot bi magnitude random]` {
		t.Error(err)
	}
	setup, _ := toySetup(t, fittest.New(2))
	setup.Metric = perplexity.KLD
	aware, _ := Find("aware")
	if _, err := aware.Prepare(setup); err == nil || !strings.Contains(err.Error(), "leave out --metric") {
		t.Error(err)
	}
}

func TestRefineNeedsTwoSequences(t *testing.T) {
	t.Parallel()
	ledger := search.NewLedger(&searchtest.Texts{N: 1, Mean: searchtest.Layered("one")}, search.Cost{Head: 1}, nil, "")
	refine, _ := Find("refine")
	if _, err := refine.Prepare(Setup{Ledger: ledger, Unit: blockmask.Mix, Goal: search.Goal{Blocks: 3}}); err == nil || !strings.Contains(err.Error(), "--chunks") {
		t.Error(err)
	}
}
