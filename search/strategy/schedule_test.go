package strategy

import (
	"strings"
	"testing"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// More time never buys less; what is predicted fits; and too little time is an error that says how much is needed.
func TestSchedule(t *testing.T) {
	t.Parallel()
	fit := Limit{
		Cost: search.Cost{Blocks: searchtest.PlainModel(32).Blocks, Head: 5}, Unit: blockmask.Mix, Steps: 16,
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
	t.Parallel()
	for _, layers := range []int{12, 24, 32} {
		for _, n := range []int{16, 64, 200} {
			model := searchtest.PlainModel(layers)
			src := &searchtest.Texts{N: n, Mean: searchtest.Layered("promise"), Noise: .01, Branching: true}
			fit := Limit{
				Cost: searchtest.PlainCost(model), Unit: blockmask.Mix, Steps: 8, Available: n,
				Tokens: searchtest.TextTokens, Scored: searchtest.TextTokens - 1, Speed: 1e6, Time: time.Hour,
			}
			s, err := fit.Schedule()
			if err != nil || s.Sequences != n {
				t.Fatalf("%+v, %v", s, err)
			}
			l := searchtest.NewLedger(t, src, model)
			if _, err := search.Run(t.Context(), NewFast(l, 1), model, blockmask.Mix, search.Goal{Blocks: 8}, nil); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d layers, %d sequences: predicted %.0f, took %.2f of it", layers, n, s.Predicted, l.Spent()/s.Predicted)
			if l.Spent() > s.Predicted/reserve || l.Spent() < s.Predicted/3 {
				t.Errorf("%d layers, %d sequences: predicted %.0f, took %.0f", layers, n, s.Predicted, l.Spent())
			}
		}
	}
}
