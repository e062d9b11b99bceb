package shape

import (
	"math"
	"testing"
)

// Whatever the loss grows with, a handful of amounts come near to the bound from below, or at least within it.
func TestBracketComesNear(t *testing.T) {
	t.Parallel()
	for name, used := range map[string]func(ratio float64) float64{
		"linear":      func(r float64) float64 { return r / 0.3 },
		"steep":       func(r float64) float64 { return math.Pow(r/0.05, 4) },
		"nothing yet": func(r float64) float64 { return max(0, r-0.4) * 20 },
		"at once":     func(r float64) float64 { return 40 * math.Sqrt(r) },
		"impossible": func(r float64) float64 {
			if r > 0.2 {
				return math.Inf(1)
			}
			return r / 0.5
		},
	} {
		var b Bracket
		ratio, best := 0.15, 0.0
		for range 6 {
			u := used(ratio)
			b.Add(Point{ratio, u})
			if u <= 1 {
				best = max(best, ratio)
			}
			if ratio = b.Next(); !(ratio > 0 && ratio < 1) {
				t.Fatalf("%s: %v comes next after %v", name, ratio, b)
			}
		}
		if best == 0 && name != "at once" {
			t.Errorf("%s: nothing within the bound in %v", name, b)
		}
		if past := used(best * 1.35); best > 0 && past <= 1 && best < 0.9/1.35 {
			t.Errorf("%s: %v is far from the bound: %v", name, best, b)
		}
	}
}
