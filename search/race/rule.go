package race

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

// Limit returns how many candidates go on after look i, from 0, which is after s of n sequences; 0 is no limit.
func (r Rule) Limit(i, s, n int) int {
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

// Late reports whether a candidate that is not likely to be better than the leader goes after s of n sequences.
func (r Rule) Late(s, n int) bool { return r.Finalists > 0 && s >= n/4 && s < n }

// Looks returns after how many of n sequences the race looks; the last is n.
func (r Rule) Looks(n int) []int {
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
