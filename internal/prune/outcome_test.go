package prune

import (
	"testing"

	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// What held-out text said is of a plan's last step.
func TestHeldOutIsOfAllSteps(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Steps: make([]search.Step, 2), HeldOut: &plan.HeldOut{}}
	for steps, want := range map[int]*plan.HeldOut{1: nil, 2: p.HeldOut} {
		if got := (&Outcome{Plan: p, Steps: p.Steps[:steps]}).HeldOut(); got != want {
			t.Errorf("%d of 2 steps: %v", steps, got)
		}
	}
	if (&Outcome{}).HeldOut() != nil {
		t.Error("a mask without a plan was looked at")
	}
}
