package strategy

// Fast makes greedy's decisions from a fraction of greedy's evaluations.
//
// Each step, the candidates race (package race) instead of running on the whole set all of them. And most do not even start: a block
// that was far behind in the last step is not going to be the best in this one. Fast remembers how far each candidate was behind
// the winner when it last raced, and admits those that were nearest. A candidate that has become bad since then, because what could
// replace it is gone, drops out at the first look. One that has become good is what could be missed.
//
// What if that is wrong? Every few steps an audit lets all candidates start, and keeps those that would have started anyway for
// the second look. Its outcome decides that step, and says what the ordinary race would have decided: whether the winner would have been
// left out ("missed") or dropped at the first look ("lost"), and what that would have cost. Counts are in [search.Audit].
//
// What a candidate did to a sequence in earlier steps is taken out of what it does to it now ([race.Foretold]), which leaves a third of the
// noise on sequences that were seen in the step before.
//
// The order in which sequences are taken is drawn anew for each step from the seed, so that the same few texts do not decide all
// of them. Everything depends on the seed and the measured losses only.

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/race"
)

// Fast is the racing strategy. The zero values of its fields, but for the ledger, are replaced by defaults: see [NewFast].
type Fast struct {
	Ledger *search.Ledger
	Rule   race.Rule
	Seed   uint64

	Admit      int // candidates that start; 0 is the larger of DefaultAdmit and a quarter of them
	AuditEvery int // steps from one audit to the next; 0 is never

	// Exact scores every step on the whole set. Otherwise a step whose race ended early has an estimate, from the sequences that it
	// ran on and the last mask that was measured on the whole set; and the last step's score is measured.
	Exact bool

	// Use is the part of the calibration set to decide on, all of it if nil.
	Use []int

	// Seen gathers what audits found.
	Seen search.Audit

	step   int
	anchor blockmask.Mask     // the last mask that was measured on all of Use
	behind map[string]float64 // by candidate: nats behind the winner when it last raced
	told   race.Foretold
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
func NewFast(l *search.Ledger, seed uint64) *Fast {
	return &Fast{
		Ledger: l, Seed: seed, AuditEvery: DefaultAuditEvery,
		Rule: race.Rule{Confidence: DefaultConfidence, Tolerance: DefaultTolerance, Finalists: DefaultFinalists},
	}
}

// Name returns "fast".
func (*Fast) Name() string { return "fast" }

// Choose races candidates and returns the winner with its score on the whole set. The other scores are estimates: the winner's,
// and the difference to it on the sequences that both have seen.
func (f *Fast) Choose(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (search.Choice, error) {
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
	rule := f.rule(len(candidates))
	r := race.New(rule, len(use), len(start))
	if audit {
		r.Hold(func(a int) bool { return slices.ContainsFunc(admitted, start[a].Equal) })
	}
	best, err := r.Run(f.sampler(ctx, removed, start, order))
	if err == nil && len(start) < len(candidates) && r.Exploded(best) {
		start = candidates
		r = race.New(rule, len(use), len(start))
		best, err = r.Run(f.sampler(ctx, removed, start, order))
	}
	if err != nil {
		return search.Choice{}, err
	}
	if r.Undecided() {
		f.Seen.Undecided++
	}
	if audit {
		f.learn(r, start, admitted, best)
	}
	c, err := f.decide(ctx, r, removed, start, use, order, best)
	if err != nil {
		return search.Choice{}, err
	}
	c.Cost, c.PaperCost = f.Ledger.Spent()-spent, l.PaperCost(removed, candidates)
	return c, nil
}

// rule returns the rule of a race in which there are n candidates. Three fifths of those admitted see a second look.
func (f *Fast) rule(n int) race.Rule {
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
func (f *Fast) sampler(ctx context.Context, removed blockmask.Mask, arms []blockmask.Mask, order []int) race.Sampler {
	return func(alive []int, from, to int) ([][]float64, error) {
		x, err := measureArms(ctx, f.Ledger, removed, arms, alive, order[from:to])
		for j := range x {
			f.told.Adjust(arms[alive[j]], order[from:to], x[j])
		}
		return x, err
	}
}

// measureArms returns the mean losses of those of arms that are alive on the sequences which.
func measureArms(ctx context.Context, l *search.Ledger, removed blockmask.Mask, arms []blockmask.Mask, alive, which []int) ([][]float64, error) {
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
func (f *Fast) decide(ctx context.Context, r *race.Race, removed blockmask.Mask, arms []blockmask.Mask, use, order []int, best int) (
	search.Choice, error,
) {
	c := search.Choice{}
	var final []blockmask.Mask
	for _, a := range r.Alive() {
		if f.Exact || r.Seen(a) == len(use) || len(arms) == 1 {
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
	f.Seen.Regret += r.Regret(best)
	seen := order
	if len(final) == 0 {
		seen = order[:r.Seen(best)]
	}
	c.Best = best
	mean := f.estimate(removed.Union(arms[best]), seen, use)
	for a, m := range arms {
		cand := search.Candidate{Mask: m, Score: f.Ledger.OfMean(mean + r.Gap(a, best)), Sequences: r.Seen(a)}
		if slices.ContainsFunc(final, m.Equal) {
			cand.Score, cand.Sequences = f.Ledger.Fold(use, removed.Union(m)), 0
		}
		c.Scored = append(c.Scored, cand)
	}
	return c, nil
}

// whole returns the whole model's score.
func (f *Fast) whole(ctx context.Context, use []int) (float64, error) {
	if score, ok := f.Ledger.Known(); ok {
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
	if _, ok := f.Ledger.Known(); ok && len(f.anchor) == 0 {
		return avg(seen, m) // from no divergence at all: the difference is all there is
	}
	return avg(use, f.anchor) + avg(seen, m) - avg(seen, f.anchor)
}

// Finish measures what is left on the whole set.
func (f *Fast) Finish(ctx context.Context, removed blockmask.Mask) (search.Choice, error) {
	spent := f.Ledger.Spent()
	score, _, err := f.Ledger.ScoreOn(ctx, f.use(), removed, nil, true)
	f.anchor = removed
	return search.Choice{Base: score, Cost: f.Ledger.Spent() - spent}, err
}

func (f *Fast) use() []int {
	if f.Use != nil {
		return f.Use
	}
	return f.Ledger.Sequences()
}

func (f *Fast) remember(r *race.Race, removed blockmask.Mask, arms []blockmask.Mask, use []int, best int) {
	if f.behind == nil {
		f.behind = map[string]float64{}
	}
	if f.told == nil {
		f.told = race.Foretold{}
	}
	for a, m := range arms {
		f.behind[m.Key()] = r.Gap(a, best)
		f.told.Learn(m, f.rises(removed, m, use))
	}
}

// learn compares an audit's outcome with what the ordinary race would have kept after the same sequences.
func (f *Fast) learn(r *race.Race, arms, admitted []blockmask.Mask, best int) {
	f.Seen.Audits++
	alive, second := r.Ordinary()
	if slices.Contains(alive, best) {
		return
	}
	if slices.ContainsFunc(admitted, arms[best].Equal) {
		f.Seen.Lost++
	} else {
		f.Seen.Missed++
	}
	if loss := r.Gap(second, best); jsonnum.Finite(loss) {
		f.Seen.WorstLoss = max(f.Seen.WorstLoss, loss)
	}
}

// rises returns by how much the mean loss of each sequence of use is higher without m than without removed alone; NaN where one of them
// was not measured.
func (f *Fast) rises(removed, m blockmask.Mask, use []int) []float64 {
	l := f.Ledger
	out := race.Nowhere(len(l.Sequences()))
	with, base := l.Means(use, removed.Union(m)), l.Means(use, removed)
	_, none := l.Known()
	for j, i := range use {
		if none && len(removed) == 0 {
			base[j] = 0 // a divergence from the whole model itself
		}
		out[i] = with[j] - base[j]
	}
	return out
}

// MeasureAll has every step scored on the whole set.
func (f *Fast) MeasureAll() { f.Exact = true }

// likely is the part of what a schedule reckons with that fast's steps are likely to take: a schedule is to be kept, an ETA to be right
// on easy and hard landscapes alike (TestETAOfFast).
const likely = 0.93

// StepCost returns what a step of f is expected to cost.
func (f *Fast) StepCost(unit blockmask.Unit) search.StepCost {
	l, use := f.Ledger, f.use()
	tokens, scored := l.Size(use)
	per := func(n int) int { return (n + len(use) - 1) / max(1, len(use)) }
	return func(step int, removed blockmask.Mask) float64 {
		s := Schedule{Sequences: len(use), Admit: f.Admit, Finalists: f.Rule.Finalists}
		return likely * predictStep(l.Cost(), unit, s, step, f.AuditEvery, removed, per(tokens), per(scored))
	}
}
