package narrow

import (
	"math"
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// What a bound is of, and what is chosen by, follow the goal.
func TestUsed(t *testing.T) {
	t.Parallel()
	lost := plan.Shape{Loss: math.Log(1.1), KLD: 0.2}
	ppl := &Narrower{Job: Job{Goal: search.Goal{MaxPPLRatio: 1.21}}}
	if got := ppl.used(ppl.loss(lost)); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("a loss of half of the bound uses %v", got)
	}
	kld := &Narrower{Job: Job{Goal: search.Goal{MaxKLD: 0.1}}}
	if got := kld.used(kld.loss(lost)); math.Abs(got-2) > 1e-12 {
		t.Errorf("twice the divergence of the bound uses %v", got)
	}
	if got := (&Narrower{Job: Job{Goal: search.Goal{Ratio: 0.2}}}).loss(lost); math.Abs(got-math.Log(1.1)-0.2) > 1e-12 {
		t.Errorf("without a bound of quality, shapes are chosen by %v, not by loss and divergence", got)
	}
}

// Widths go in grains: amounts that make a shape which is known are passed over, until one is within the bound.
func TestUnknown(t *testing.T) {
	t.Parallel()
	const grain = 0.025
	n := &Narrower{Job: Job{Goal: search.Goal{MaxPPLRatio: math.E}}}
	s := &seeker{choice: &choice{Narrower: n}}
	b := blockmask.Block{Kind: blockmask.FFN}
	of := func(ratio float64) (shape.Shape, error) {
		return shape.Shape{Widths: map[blockmask.Block]int{b: int(100 - math.Ceil(ratio/grain-1e-9))}}, nil
	}
	used := func(ratio float64) float64 { return math.Pow(ratio/0.14, 1.5) }
	ratio := 0.15
	for range secondTries {
		what, at, err := s.unknown(ratio, of)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(s.shapes, what.Equal) {
			t.Fatalf("%.4f makes a shape that was tried", at)
		}
		real := math.Ceil(at/grain-1e-9) * grain
		s.shapes = append(s.shapes, what)
		s.tried = append(s.tried, trial{Shape: plan.Shape{Ratio: real, Loss: used(real)}})
		s.take(len(s.tried) - 1)
		if s.most > 0 {
			break
		}
		ratio = s.known.Next()
	}
	if math.Abs(s.most-0.125) > 1e-9 {
		t.Errorf("%.4f is within the bound, 0.125 would be", s.most)
	}
}

// Where less is removed in the end than by the trial that led to it, the mark is on what was fitted, also where nothing had tried that.
func TestTaken(t *testing.T) {
	t.Parallel()
	tried := []plan.Shape{
		{Name: oneWidth, Keeps: "512 of 768 channels", Ratio: 0.2, Loss: 0.3},
		{Name: oneWidth, Keeps: "640 of 768 channels", Ratio: 0.1, Loss: 0.1, Chosen: true},
		{Name: oneWidth, Keeps: "704 of 768 channels", Ratio: 0.05, Loss: 0.05},
	}
	marks := func(all []plan.Shape) (out []int) {
		for i, s := range all {
			if s.Chosen {
				out = append(out, i)
			}
		}
		return out
	}
	known := taken(tried, plan.Shape{Name: oneWidth, Keeps: "704 of 768 channels", Ratio: 0.05, Loss: 0.04})
	if len(known) != 3 || !slices.Equal(marks(known), []int{2}) || known[2].Loss != 0.05 {
		t.Errorf("one that was tried: %+v", known)
	}
	last := taken(tried, plan.Shape{Name: oneWidth, Keeps: "672 of 768 channels", Ratio: 0.07, Loss: 0.06})
	if len(last) != 4 || !slices.Equal(marks(last), []int{3}) || last[3].Loss != 0.06 || last[3].Name != oneWidth+onAll {
		t.Errorf("one that was not: %+v", last)
	}
	if !slices.Equal(marks(tried), []int{1}) {
		t.Errorf("what was tried is changed: %+v", tried)
	}
}
