package tasks

import (
	"math"
	"testing"
)

// Means are over tasks, not items; what is ahead, and how sure that is, comes from the items that only one answers right.
func TestRights(t *testing.T) {
	t.Parallel()
	item := func(right, norm bool) Answer { return Answer{Right: right, RightNorm: norm} }
	rights := RightsOf([]*Result{
		{Task: &Task{Norm: NoNorm}, Answers: []Answer{item(true, false), item(false, true), item(true, true), item(true, true)}},
		{Task: &Task{Norm: "characters"}, Answers: []Answer{item(true, false), item(false, true)}},
	})
	if rights.Part(0) != 0.75 || rights.Part(1) != 0.5 || rights.Mean() != 0.625 {
		t.Errorf("%v: %v and %v, mean %v", rights, rights.Part(0), rights.Part(1), rights.Mean())
	}
	other := Rights{{true, true, false, false}, {false, true}}
	ahead, stderr := rights.Ahead(other)
	// Of the first task's items one is lost and two are won: +1/4, with a variance of (3/4 - 1/16) / 4.
	if want := 0.25 / 2; math.Abs(ahead-want) > 1e-12 {
		t.Errorf("%v ahead, want %v", ahead, want)
	}
	if want := math.Sqrt((0.75-0.0625)/4) / 2; math.Abs(stderr-want) > 1e-12 {
		t.Errorf("a standard error of %v, want %v", stderr, want)
	}
	if same, none := rights.Ahead(rights); same != 0 || none != 0 {
		t.Errorf("%v +- %v ahead of itself", same, none)
	}
}
