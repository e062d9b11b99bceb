package prune

import (
	"testing"

	"github.com/ggufprune/ggufprune/search"
)

// What held-out text said is of a plan's last step.
func TestHeldOutIsOfAllSteps(t *testing.T) {
	plan := &search.Plan{Steps: make([]search.Step, 2), HeldOut: &search.HeldOut{}}
	for steps, want := range map[int]*search.HeldOut{1: nil, 2: plan.HeldOut} {
		if got := (&Outcome{Plan: plan, Steps: plan.Steps[:steps]}).HeldOut(); got != want {
			t.Errorf("%d of 2 steps: %v", steps, got)
		}
	}
	if (&Outcome{}).HeldOut() != nil {
		t.Error("a mask without a plan was looked at")
	}
}
