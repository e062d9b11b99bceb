package chart

import (
	"math"
	"testing"
)

// Whatever the values, there are few ticks, and coordinates for all: a plan may hold nonsense.
func TestScaleOfNonsense(t *testing.T) {
	t.Parallel()
	for _, values := range [][]float64{{1e-320, 26}, {1e-300, 1e300}, {5, 5}, {0, 0}, {1, math.MaxFloat64 / 2}, {-3, 4}, {0.001, 900}} {
		s, ticks := newScale(values, 0, 100, true)
		if len(ticks) > 60 {
			t.Errorf("%v: %d ticks", values, len(ticks))
		}
		for _, v := range values {
			if at := s.at(v); !(at >= 0 && at <= 100) {
				t.Errorf("%v: %v is at %v", values, v, at)
			}
		}
	}
}
