package narrow

import (
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// What a bound is of, and what is chosen by, follow the goal.
func TestUsed(t *testing.T) {
	t.Parallel()
	shape := plan.Shape{Loss: math.Log(1.1), KLD: 0.2}
	ppl := &Narrower{Job: Job{Goal: search.Goal{MaxPPLRatio: 1.21}}}
	if got := ppl.used(ppl.loss(shape)); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("a loss of half of the bound uses %v", got)
	}
	kld := &Narrower{Job: Job{Goal: search.Goal{MaxKLD: 0.1}}}
	if got := kld.used(kld.loss(shape)); math.Abs(got-2) > 1e-12 {
		t.Errorf("twice the divergence of the bound uses %v", got)
	}
	if got := (&Narrower{Job: Job{Goal: search.Goal{Ratio: 0.2}}}).loss(shape); math.Abs(got-math.Log(1.1)-0.2) > 1e-12 {
		t.Errorf("without a bound of quality, shapes are chosen by %v, not by loss and divergence", got)
	}
}
