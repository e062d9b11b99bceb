package search

// Fast makes greedy's decisions from a fraction of greedy's evaluations.
//
// Each step, the candidates race (race.go) instead of running on the whole set all of them. And most do not even start: a block
// that was far behind in the last step is not going to be the best in this one. Fast remembers how far each candidate was behind
// the winner when it last raced, and admits those that were nearest. A candidate that has become bad since then, because what could
// replace it is gone, drops out at the first look. One that has become good is what could be missed.
//
// What if that is wrong? Every few steps an audit lets all candidates start, and keeps those that would have started anyway for
// the second look. Its outcome decides that step, and says what the ordinary race would have decided: whether the winner would have been
// left out ("missed") or dropped at the first look ("lost"), and what that would have cost. Counts are in [Audit].
//
// What a candidate did to a sequence in earlier steps is taken out of what it does to it now (foretold.go), which leaves a third of the
// noise on sequences that were seen in the step before.
//
// The order in which sequences are taken is drawn anew for each step from the seed, so that the same few texts do not decide all
// of them. Everything depends on the seed and the measured losses only.

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Fast is the racing strategy. The zero values of its fields, but for the ledger, are replaced by defaults: see [NewFast].
type Fast struct {
	Ledger *Ledger
	Rule   Rule
	Seed   uint64

	Admit      int // candidates that start; 0 is the larger of DefaultAdmit and a quarter of them
	AuditEvery int // steps from one audit to the next; 0 is never

	// Exact scores every step on the whole set. Otherwise a step whose race ended early has an estimate, from the sequences that it
	// ran on and the last mask that was measured on the whole set; and the last step's score is measured.
	Exact bool

	// Use is the part of the calibration set to decide on, all of it if nil.
	Use []int

	// Seen gathers what audits found.
	Seen Audit

	step   int
	anchor blockmask.Mask     // the last mask that was measured on all of Use
	behind map[string]float64 // by candidate: nats behind the winner when it last raced
	told   foretold
}

// Audit is what audits found.
type Audit struct {
	Audits    int     `json:"audits"`
	Missed    int     `json:"missed"` // the best candidate would not have started
	Lost      int     `json:"lost"`   // it would have dropped out
	WorstLoss float64 `json:"worst_loss"`
	Undecided int     `json:"undecided"` // steps in which the limit of finalists, not the confidence, ended the race
	Steps     int     `json:"steps"`
}

// Defaults of Fast.
const (
	DefaultConfidence = 0.9
	DefaultTolerance  = 0.001 // nats: 0.1 % of perplexity
	DefaultFinalists  = 2
	DefaultAdmit      = 10
	DefaultAuditEvery = 6
)

// NewFast returns the strategy with its defaults.
func NewFast(l *Ledger, seed uint64) *Fast {
	return &Fast{
		Ledger: l, Seed: seed, AuditEvery: DefaultAuditEvery,
		Rule: Rule{Confidence: DefaultConfidence, Tolerance: DefaultTolerance, Finalists: DefaultFinalists},
	}
}

// Name returns "fast".
func (*Fast) Name() string { return "fast" }

// Choose races candidates and returns the winner with its score on the whole set. The other scores are estimates: the winner's,
// and the difference to it on the sequences that both have seen.
func (f *Fast) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (Choice, error) {
	l, use := f.Ledger, f.use()
	f.step++
	f.Seen.Steps++
	spent := f.Ledger.Spent()
	start := f.admit(candidates)
	audit := f.AuditEvery > 0 && f.step%f.AuditEvery == 0 && len(start) < len(candidates)
	admitted := start
	if audit {
		start = candidates
	}
	order := rand.New(rand.NewPCG(f.Seed, uint64(f.step))).Perm(len(use))
	for i, k := range order {
		order[i] = use[k]
	}
	r := newRace(f.rule(len(candidates)), len(use), len(start))
	if audit {
		r.keep, r.held = r.looks[max(0, min(1, len(r.looks)-2))], map[int]bool{}
		for a, m := range start {
			r.held[a] = slices.ContainsFunc(admitted, m.Equal)
		}
	}
	best, err := r.run(f.sampler(ctx, removed, start, order))
	if err == nil && len(start) < len(candidates) && r.exploded(best) {
		start = candidates
		r = newRace(r.rule, len(use), len(start))
		best, err = r.run(f.sampler(ctx, removed, start, order))
	}
	if err != nil {
		return Choice{}, err
	}
	if r.cut {
		f.Seen.Undecided++
	}
	if audit {
		f.learn(r, start, admitted, best)
	}
	c, err := f.decide(ctx, r, removed, start, use, order, best)
	if err != nil {
		return Choice{}, err
	}
	c.Cost, c.PaperCost = f.Ledger.Spent()-spent, l.PaperCost(removed, candidates)
	return c, nil
}

// rule returns the rule of a race in which there are n candidates. Three fifths of those admitted see a second look.
func (f *Fast) rule(n int) Rule {
	r := f.Rule
	if r.Finalists > 0 && r.Most == 0 {
		r.Most = second(admitted(f.Admit, n))
	}
	return r
}

// admit returns the candidates that start, in their order: the nearest to the winner of when they last raced, and all that never
// did.
func (f *Fast) admit(candidates []blockmask.Mask) []blockmask.Mask {
	n := admitted(f.Admit, len(candidates))
	known := slices.DeleteFunc(slices.Clone(candidates), func(m blockmask.Mask) bool {
		_, ok := f.behind[m.Key()]
		return !ok
	})
	slices.SortStableFunc(known, func(a, b blockmask.Mask) int { return cmp.Compare(f.behind[a.Key()], f.behind[b.Key()]) })
	out := map[string]bool{}
	for _, m := range known[min(n, len(known)):] {
		out[m.Key()] = true
	}
	return slices.DeleteFunc(slices.Clone(candidates), func(m blockmask.Mask) bool { return out[m.Key()] })
}

// sampler measures arms in the order drawn for the step.
func (f *Fast) sampler(ctx context.Context, removed blockmask.Mask, arms []blockmask.Mask, order []int) sampler {
	return func(alive []int, from, to int) ([][]float64, error) {
		x, err := measureArms(ctx, f.Ledger, removed, arms, alive, order[from:to])
		for j := range x {
			f.told.adjust(arms[alive[j]], order[from:to], x[j])
		}
		return x, err
	}
}

// measureArms returns the mean losses of those of arms that are alive on the sequences which.
func measureArms(ctx context.Context, l *Ledger, removed blockmask.Mask, arms []blockmask.Mask, alive, which []int) ([][]float64, error) {
	var masks []blockmask.Mask
	for _, a := range alive {
		masks = append(masks, arms[a])
	}
	if err := l.Measure(ctx, which, removed, masks, false); err != nil {
		return nil, err
	}
	out := make([][]float64, len(alive))
	for j, m := range masks {
		out[j] = l.Means(which, removed.Union(m))
	}
	return out, nil
}

// decide measures finalists on the whole set, if there are several, and writes down what the race found.
func (f *Fast) decide(ctx context.Context, r *race, removed blockmask.Mask, arms []blockmask.Mask, use, order []int, best int) (Choice, error) {
	c := Choice{}
	var final []blockmask.Mask
	for _, a := range r.alive {
		if f.Exact || len(r.x[a]) == len(use) || len(arms) == 1 {
			final = append(final, arms[a])
		}
	}
	if len(removed) == 0 {
		var err error
		if c.Base, err = f.whole(ctx, use); err != nil {
			return c, err
		}
	}
	if len(final) > 0 {
		_, scores, err := f.Ledger.ScoreOn(ctx, use, removed, final, false)
		if err != nil {
			return c, err
		}
		win := final[lowest(scores)]
		best = slices.IndexFunc(arms, win.Equal)
		f.anchor = removed.Union(win)
	}
	f.remember(r, removed, arms, use, best)
	seen := order
	if len(final) == 0 {
		seen = order[:len(r.x[best])]
	}
	c.Best = best
	mean := f.estimate(removed.Union(arms[best]), seen, use)
	for a, m := range arms {
		cand := Candidate{Mask: m, Score: f.Ledger.source.OfMean(mean + r.gap(a, best)), Sequences: len(r.x[a])}
		if slices.ContainsFunc(final, m.Equal) {
			cand.Score, cand.Sequences = f.Ledger.fold(use, removed.Union(m)), 0
		}
		c.Scored = append(c.Scored, cand)
	}
	return c, nil
}

// whole returns the whole model's score.
func (f *Fast) whole(ctx context.Context, use []int) (float64, error) {
	if score, ok := f.Ledger.source.Known(); ok {
		return score, nil
	}
	score, _, err := f.Ledger.ScoreOn(ctx, use, nil, nil, true)
	return score, err
}

// estimate returns the mean loss of m on the sequences use, from those that it has seen: the anchor's mean on all of them, and the
// difference between the two on the same sequences.
func (f *Fast) estimate(m blockmask.Mask, seen, use []int) float64 {
	avg := func(which []int, m blockmask.Mask) float64 {
		sum := 0.0
		for _, x := range f.Ledger.Means(which, m) {
			sum += x / float64(len(which))
		}
		return sum
	}
	if len(seen) == len(use) {
		return avg(use, m)
	}
	if _, ok := f.Ledger.source.Known(); ok && len(f.anchor) == 0 {
		return avg(seen, m) // from no divergence at all: the difference is all there is
	}
	return avg(use, f.anchor) + avg(seen, m) - avg(seen, f.anchor)
}

// Finish measures what is left on the whole set.
func (f *Fast) Finish(ctx context.Context, removed blockmask.Mask) (Choice, error) {
	spent := f.Ledger.Spent()
	score, _, err := f.Ledger.ScoreOn(ctx, f.use(), removed, nil, true)
	f.anchor = removed
	return Choice{Base: score, Cost: f.Ledger.Spent() - spent}, err
}

func (f *Fast) use() []int {
	if f.Use != nil {
		return f.Use
	}
	return f.Ledger.Sequences()
}

// gap returns how far behind arm best arm a was on the sequences that both have seen.
func (r *race) gap(a, best int) float64 {
	n := min(len(r.x[a]), len(r.x[best]))
	if a == best || n == 0 {
		return 0
	}
	return r.mean(a, n) - r.mean(best, n)
}

func (f *Fast) remember(r *race, removed blockmask.Mask, arms []blockmask.Mask, use []int, best int) {
	if f.behind == nil {
		f.behind = map[string]float64{}
	}
	if f.told == nil {
		f.told = foretold{}
	}
	for a, m := range arms {
		f.behind[m.Key()] = r.gap(a, best)
		f.told.learn(m, f.rises(removed, m, use))
	}
}

// learn compares an audit's outcome with what the ordinary race would have kept after the same sequences.
func (f *Fast) learn(r *race, arms, admitted []blockmask.Mask, best int) {
	f.Seen.Audits++
	started := func(a int) bool { return slices.ContainsFunc(admitted, arms[a].Equal) }
	plain := newRace(r.rule, r.n, len(admitted))
	plain.x, plain.sum, plain.alive = r.x, r.sum, nil
	for a := range arms {
		if started(a) {
			plain.alive = append(plain.alive, a)
		}
	}
	for i, s := range plain.looks {
		if s < r.keep {
			plain.drop(i)
		}
	}
	if slices.Contains(plain.alive, best) {
		return
	}
	if started(best) {
		f.Seen.Lost++
	} else {
		f.Seen.Missed++
	}
	second := plain.leader(r.looks[0]) // which all have seen
	if loss := r.gap(second, best); finite(loss) {
		f.Seen.WorstLoss = max(f.Seen.WorstLoss, loss)
	}
}

// String returns the audit in one line for a report.
func (a Audit) String() string {
	return fmt.Sprintf("%d steps, %d of them undecided at the stated confidence; %d audits: "+
		"best candidate not admitted %d times, dropped %d times, worst loss %.4f nats",
		a.Steps, a.Undecided, a.Audits, a.Missed, a.Lost, a.WorstLoss)
}
