package race

import (
	"cmp"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Race is the state of one.
type Race struct {
	rule  Rule
	n     int         // sequences of the whole set
	looks []int       // see Rule.Looks
	arms  int         // candidates that entered
	alive []int       // those still in, ascending
	x     [][]float64 // by candidate: mean losses on the sequences seen so far, less what was foretold of each
	sum   [][]float64 // by candidate: sums of the first 0, 1, 2 ... of x
	cut   bool        // candidates had to leave without having been told apart
	keep  int         // in audits: those in held do not drop out before that many sequences
	held  map[int]bool
}

// Sampler returns the mean losses of the arms on the sequences from to to-1 of the race's order.
type Sampler func(arms []int, from, to int) ([][]float64, error)

// New returns a race of arms candidates, which go by their index, on a set of n sequences.
func New(rule Rule, n, arms int) *Race {
	r := &Race{rule: rule, n: n, looks: rule.Looks(n), arms: arms, x: make([][]float64, arms), sum: make([][]float64, arms)}
	for i := range arms {
		r.alive = append(r.alive, i)
		r.sum[i] = []float64{0}
	}
	return r
}

// Hold keeps the arms that held is true of in the race until the second look, or the only one. It is for audits: what an ordinary
// race would have done with these alone is what [Race.Ordinary] says.
func (r *Race) Hold(held func(arm int) bool) {
	r.keep, r.held = r.looks[max(0, min(1, len(r.looks)-2))], map[int]bool{}
	for arm := range r.arms {
		r.held[arm] = held(arm)
	}
}

// Ordinary returns which of the arms that were held would be in a race of them alone, after those of its looks that come before the end
// of the hold; and which of them would lead after the first look.
func (r *Race) Ordinary() (alive []int, leader int) {
	for arm := range r.arms {
		if r.held[arm] {
			alive = append(alive, arm)
		}
	}
	plain := New(r.rule, r.n, len(alive))
	plain.x, plain.sum, plain.alive = r.x, r.sum, alive
	for i, s := range plain.looks {
		if s < r.keep {
			plain.drop(i)
		}
	}
	return plain.alive, plain.leader(r.looks[0]) // which all have seen
}

// Alive returns the arms that are still in, ascending. The caller must not change them.
func (r *Race) Alive() []int { return r.alive }

// Seen returns how many sequences an arm has run on: the first ones of the race's order.
func (r *Race) Seen(arm int) int { return len(r.x[arm]) }

// Undecided reports whether arms had to leave without having been told apart from the winner with confidence.
func (r *Race) Undecided() bool { return r.cut }

// Gap returns how far behind arm best arm a was on the sequences that both have seen.
func (r *Race) Gap(a, best int) float64 {
	n := min(len(r.x[a]), len(r.x[best]))
	if a == best || n == 0 {
		return 0
	}
	return r.mean(a, n) - r.mean(best, n)
}

// Run races until one is left or all sequences are seen, and returns the winner: the lowest mean of those left, the lowest
// index on a tie.
func (r *Race) Run(sample Sampler) (int, error) {
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
		if r.Exploded(r.leader(s)) {
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
func (r *Race) revive(sample Sampler, s int) error {
	var sound []int
	for arm := range r.arms {
		seen := len(r.x[arm])
		if seen == s || r.Exploded(arm) {
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

func (r *Race) add(arm int, x []float64) {
	r.x[arm] = append(r.x[arm], x...)
	for _, v := range x {
		r.sum[arm] = append(r.sum[arm], r.sum[arm][len(r.sum[arm])-1]+v)
	}
}

// mean returns arm's mean on the first s sequences; +Inf if it is broken.
func (r *Race) mean(arm, s int) float64 {
	if m := r.sum[arm][s] / float64(s); jsonnum.Finite(m) {
		return m
	}
	return math.Inf(1)
}

// Exploded reports whether arm's mean on what it has seen is not finite.
func (r *Race) Exploded(arm int) bool {
	seen := len(r.x[arm])
	return seen > 0 && !jsonnum.Finite(r.mean(arm, seen))
}

func (r *Race) leader(s int) int {
	return slices.MinFunc(r.alive, func(a, b int) int { return cmp.Compare(r.mean(a, s), r.mean(b, s)) })
}

// drop takes out those that have lost at look i.
func (r *Race) drop(i int) {
	s := r.looks[i]
	best := r.leader(s)
	if !jsonnum.Finite(r.mean(best, s)) {
		return // all explode; the caller sees it in the score
	}
	lost := r.lost(best, s)
	r.alive = slices.DeleteFunc(r.alive, func(arm int) bool { return lost[arm] && !(s < r.keep && r.held[arm]) })
	if most := r.rule.Limit(i, s, r.n); most > 0 {
		r.limit(most, s)
	}
	if r.rule.Late(s, r.n) {
		r.doubtful(best, s)
	}
}

// doubtful takes out those that are not likely to be better than best.
func (r *Race) doubtful(best, s int) {
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
func (r *Race) limit(most, s int) {
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
func (r *Race) lost(best, s int) map[int]bool {
	lost := map[int]bool{}
	d, v := map[int]float64{}, map[int]float64{}
	var all []float64
	for _, arm := range r.alive {
		if arm == best {
			continue
		}
		if !jsonnum.Finite(r.mean(arm, s)) {
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
