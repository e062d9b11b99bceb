package search

// Racing: which of several masks has the lowest mean loss over the whole calibration set, from as few sequences as possible.
//
// All candidates run on a few sequences; those that are clearly worse than the leader drop out; the others run on as many
// again, and so on, doubling. What is tested is the mean of the paired differences: a candidate's loss less the leader's on the
// same sequence. The perplexities of two masks of one model go up and down together from text to text, so the difference is
// known long before either of them is.
//
// A candidate c drops out at a look after s of S sequences if
//
//	d + tolerance > t * sqrt(v/s * (1 - s/S))
//
// where d >= 0 is the mean difference to the leader, v its variance and t a quantile of Student's distribution. The last
// factor is the finite population correction: the question is what the whole set would say, not all texts of the world, and
// the nearer s is to S the less can change. So a candidate better than the leader by more than the tolerance is lost with a
// probability of at most the level of t. The race is wrong only if the best is lost to one of the others at one of the looks;
// the level is (1 - confidence) / (others * looks), and by Bonferroni's inequality the sum stays below 1 - confidence.
//
// With four sequences a variance has three degrees of freedom, and t is so large that nothing ever drops out. But candidates
// that are near the leader have similar variances. So a variance below twice the median of all counts as at least that median, with
// half of the degrees of freedom of all together (half, since all differences share the leader). A larger one stands alone.

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// Rule says how candidates race.
type Rule struct {
	// Confidence that the winner is the candidate which is best on the whole set, or not worse than it by more than Tolerance.
	Confidence float64

	// Tolerance in nats of mean loss: differences up to this do not matter.
	Tolerance float64

	// First is the number of sequences of the first look.
	First int

	// Finalists, if not 0, limits the race: after three eighths of the sequences, at most that many go on, with one more look after
	// five eighths. And from a quarter on those go on only that have some chance of being better than the leader (unlikely), although
	// the others have not been told apart from it with confidence. Such a race is undecided; its winner is the best by what was seen.
	Finalists int

	// Most, if not 0, limits such a race from the start: that many candidates go on after the first look, the best by what was
	// seen, and two thirds of them after each further one, as long as there are more than the finalists.
	Most int
}

// unlikely is the chance of being better than the leader, by more than the tolerance, below which a candidate of a limited race goes.
const unlikely = 0.17

const (
	minFirst = 4  // fewer paired differences say nothing about their variance
	looksAll = 16 // the first look is at this part of the set
)

// most returns how many candidates go on after look i, from 0, which is after s of n sequences; 0 is no limit.
func (r Rule) most(i, s, n int) int {
	switch {
	case r.Finalists == 0 || s >= n:
		return 0
	case s >= 3*n/8:
		return r.Finalists
	case r.Most == 0:
		return 0
	}
	m := r.Most
	for range i {
		m = (2*m + 1) / 3
	}
	return max(r.Finalists, m)
}

// late reports whether a candidate that is not likely to be better than the leader goes after s of n sequences.
func (r Rule) late(s, n int) bool { return r.Finalists > 0 && s >= n/4 && s < n }

// looks returns after how many of n sequences the race looks; the last is n.
func (r Rule) looks(n int) []int {
	first := r.First
	if first == 0 {
		first = max(minFirst, n/looksAll)
	}
	var out []int
	for s := max(2, first); s < n; s *= 2 {
		if r.Finalists > 0 && len(out) > 0 && s > n/4 {
			for _, s := range []int{3 * n / 8, 5 * n / 8} {
				if s > out[len(out)-1] {
					out = append(out, s)
				}
			}
			break
		}
		out = append(out, s)
	}
	return append(out, n)
}

// race is the state of one.
type race struct {
	rule  Rule
	n     int         // sequences of the whole set
	looks []int       // see Rule.looks
	arms  int         // candidates that entered
	alive []int       // those still in, ascending
	x     [][]float64 // by candidate: mean losses on the sequences seen so far, less what was foretold of each
	sum   [][]float64 // by candidate: sums of the first 0, 1, 2 ... of x
	cut   bool        // candidates had to leave without having been told apart
	keep  int         // in audits: those in held do not drop out before that many sequences
	held  map[int]bool
}

// sampler returns the mean losses of the arms on the sequences from to to-1 of the race's order.
type sampler func(arms []int, from, to int) ([][]float64, error)

func newRace(rule Rule, n, arms int) *race {
	r := &race{rule: rule, n: n, looks: rule.looks(n), arms: arms, x: make([][]float64, arms), sum: make([][]float64, arms)}
	for i := range arms {
		r.alive = append(r.alive, i)
		r.sum[i] = []float64{0}
	}
	return r
}

// run races until one is left or all sequences are seen, and returns the winner: the lowest mean of those left, the lowest
// index on a tie.
func (r *race) run(sample sampler) (int, error) {
	seen := 0
	for i, s := range r.looks {
		if len(r.alive) == 1 {
			break
		}
		got, err := sample(r.alive, seen, s)
		if err != nil {
			return 0, err
		}
		for j, arm := range r.alive {
			r.add(arm, got[j])
		}
		seen = s
		if r.exploded(r.leader(s)) {
			if err := r.revive(sample, s); err != nil {
				return 0, err
			}
		}
		r.drop(i)
	}
	return r.leader(seen), nil
}

// revive lets those that dropped out take the place of those still in, all of which have exploded on the first s sequences: better a
// bad candidate than a broken one.
func (r *race) revive(sample sampler, s int) error {
	var sound []int
	for arm := range r.arms {
		seen := len(r.x[arm])
		if seen == s || r.exploded(arm) {
			continue
		}
		got, err := sample([]int{arm}, seen, s)
		if err != nil {
			return err
		}
		r.add(arm, got[0])
		sound = append(sound, arm)
	}
	if len(sound) > 0 {
		r.alive = sound
	}
	return nil
}

func (r *race) add(arm int, x []float64) {
	r.x[arm] = append(r.x[arm], x...)
	for _, v := range x {
		r.sum[arm] = append(r.sum[arm], r.sum[arm][len(r.sum[arm])-1]+v)
	}
}

// mean returns arm's mean on the first s sequences; +Inf if it is broken.
func (r *race) mean(arm, s int) float64 {
	if m := r.sum[arm][s] / float64(s); finite(m) {
		return m
	}
	return math.Inf(1)
}

// exploded reports whether arm's mean on what it has seen is not finite.
func (r *race) exploded(arm int) bool {
	seen := len(r.x[arm])
	return seen > 0 && !finite(r.mean(arm, seen))
}

func (r *race) leader(s int) int {
	return slices.MinFunc(r.alive, func(a, b int) int { return cmp.Compare(r.mean(a, s), r.mean(b, s)) })
}

// drop takes out those that have lost at look i.
func (r *race) drop(i int) {
	s := r.looks[i]
	best := r.leader(s)
	if !finite(r.mean(best, s)) {
		return // all explode; the caller sees it in the score
	}
	lost := r.lost(best, s)
	r.alive = slices.DeleteFunc(r.alive, func(arm int) bool { return lost[arm] && !(s < r.keep && r.held[arm]) })
	if most := r.rule.most(i, s, r.n); most > 0 {
		r.limit(most, s)
	}
	if r.rule.late(s, r.n) {
		r.doubtful(best, s)
	}
}

// doubtful takes out those that are not likely to be better than best.
func (r *race) doubtful(best, s int) {
	t := studentT(unlikely, float64(s-1))
	before := len(r.alive)
	r.alive = slices.DeleteFunc(r.alive, func(arm int) bool {
		if arm == best || s < r.keep && r.held[arm] {
			return false
		}
		d, v := paired(r.x[arm][:s], r.x[best][:s])
		return d+r.rule.Tolerance > t*math.Sqrt(v/float64(s)*(1-float64(s)/float64(r.n)))
	})
	r.cut = r.cut || len(r.alive) < before
}

// limit keeps the most best, and those that are held.
func (r *race) limit(most, s int) {
	slices.SortStableFunc(r.alive, func(a, b int) int { return cmp.Compare(r.mean(a, s), r.mean(b, s)) })
	var in []int
	for i, arm := range r.alive {
		if i < most || s < r.keep && r.held[arm] {
			in = append(in, arm)
		}
	}
	r.cut = r.cut || len(in) < len(r.alive)
	r.alive = in
	slices.Sort(r.alive)
}

// lost returns which of those alive have lost to best after s sequences.
func (r *race) lost(best, s int) map[int]bool {
	lost := map[int]bool{}
	d, v := map[int]float64{}, map[int]float64{}
	var all []float64
	for _, arm := range r.alive {
		if arm == best {
			continue
		}
		if !finite(r.mean(arm, s)) {
			lost[arm] = true
			continue
		}
		d[arm], v[arm] = paired(r.x[arm][:s], r.x[best][:s])
		all = append(all, v[arm])
	}
	if s >= r.n || s < 2 {
		return lost
	}
	level := (1 - r.rule.Confidence) / float64(max(1, r.arms-1)*max(1, len(r.looks)-1))
	typical, df := pool(all, s)
	pooled, alone := studentT(level, df), studentT(level, float64(s-1))
	for arm, mean := range d {
		variance, t := max(v[arm], typical), pooled
		if v[arm] > 2*typical {
			t = alone
		}
		se := math.Sqrt(variance / float64(s) * (1 - float64(s)/float64(r.n)))
		lost[arm] = mean+r.rule.Tolerance > t*se
	}
	return lost
}

// quantiles remembers studentT: the same few are needed again and again, and each takes longer than the rest of a look.
var quantiles sync.Map

// studentT returns the value that Student's distribution with nu degrees of freedom exceeds with probability level.
func studentT(level, nu float64) float64 {
	key := [2]float64{level, nu}
	if t, ok := quantiles.Load(key); ok {
		return t.(float64)
	}
	t := distuv.StudentsT{Sigma: 1, Nu: nu}.Quantile(1 - level)
	quantiles.Store(key, t)
	return t
}

// paired returns the mean and the variance of the paired differences a - b.
func paired(a, b []float64) (mean, variance float64) {
	n := float64(len(a))
	for i := range a {
		mean += (a[i] - b[i]) / n
	}
	for i := range a {
		e := a[i] - b[i] - mean
		variance += e * e / (n - 1)
	}
	return mean, variance
}

// pool returns the typical variance of several estimates from s values each, and its degrees of freedom. The median of a chi
// squared variable lies below its mean by the factor of Wilson and Hilferty.
func pool(v []float64, s int) (typical, df float64) {
	if len(v) == 0 {
		return 0, 1
	}
	v = slices.Sorted(slices.Values(v))
	k := len(v)
	typical = (v[k/2] + v[(k-1)/2]) / 2
	nu := float64(s - 1)
	if k == 1 {
		return typical, nu
	}
	c := 1 - 2/(9*nu)
	return typical / (c * c * c), nu * max(1, float64(k)/2)
}
