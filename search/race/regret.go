package race

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Regret returns what the choice of best is expected to cost because not all arms ran on all sequences: the expected loss by which the
// likeliest better arm is better on the whole set, by the spread of the paired differences (the "expected improvement" of optimisation
// under noise). What [Foretold] took out does not matter, since it changes no mean of the whole set. An arm that
// shares fewer than two sequences with best does not count; it is 0 where none counts. How far the set itself is from all texts, it does not say.
func (r *Race) Regret(best int) float64 {
	gap, variance, seen := map[int]float64{}, map[int]float64{}, map[int]int{}
	var all []float64
	most := 0
	for arm := range r.arms {
		n := min(len(r.x[arm]), len(r.x[best]))
		if arm == best || n < 2 || !jsonnum.Finite(r.mean(arm, n)) || !jsonnum.Finite(r.mean(best, n)) {
			continue
		}
		gap[arm], variance[arm] = paired(r.x[arm][:n], r.x[best][:n])
		seen[arm], most = n, max(most, n)
		all = append(all, variance[arm])
	}
	typical, _ := pool(all, max(2, most))
	worst := 0.0
	for arm, g := range gap {
		se := math.Sqrt(max(variance[arm], typical) / float64(seen[arm]) * (1 - float64(seen[arm])/float64(r.n)))
		worst = max(worst, shortfall(g, se))
	}
	return worst
}

// shortfall is the mean of what a normal variable with that mean and standard deviation lacks to 0.
func shortfall(mean, sd float64) float64 {
	if sd == 0 {
		return max(0, -mean)
	}
	z := mean / sd
	return max(0, sd*distuv.UnitNormal.Prob(z)-mean*distuv.UnitNormal.CDF(-z))
}
