package search

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
)

// Ledger is what strategies measure with. It remembers every loss, so that nothing is measured twice, counts what measuring
// costs, and keeps a journal, from which a search that was interrupted is repeated without running the model again. It
// implements [Scorer].
//
// The loss of a mask depends on how it was reached and on a batch's other sequences only by rounding. The first measurement of a
// sequence counts, and batches depend on what is asked for and not on what the journal knows, so a search that is resumed sees
// the same numbers, and its cost is counted as if it had not been interrupted.
type Ledger struct {
	source  Source
	cost    Cost
	journal Journal // may be nil
	part    string
	all     []int
	tokens  int // of all sequences
	scored  int
	known   map[string][]float64 // by mask: each sequence's loss, NaN where not measured
	replay  map[string][]float64 // the same, of the journal as it was found
	spent   float64

	// OnRun, if not nil, is called after every run of a batch through the model, and for every one that the journal knew.
	OnRun func(BatchRun)

	// Stop, if not nil, is asked after every run through the model, when its outcome is in the journal. An error ends the search
	// with it.
	Stop func() error
}

// BatchRun is one batch under one mask.
type BatchRun struct {
	Candidate blockmask.Mask // nil for what was removed before
	Tokens    int
	Cost      float64 // block-tokens
	Replayed  bool    // taken from the journal
}

// NewLedger returns a ledger on source. journal may be nil; part tells sources apart that share a journal.
func NewLedger(source Source, cost Cost, journal Journal, part string) *Ledger {
	l := &Ledger{source: source, cost: cost, journal: journal, part: part, known: map[string][]float64{}}
	for i := range source.Sequences() {
		l.all = append(l.all, i)
	}
	l.tokens, l.scored = l.Size(l.all)
	if journal != nil {
		l.replay = replay(journal.Records(), part, len(l.all))
	}
	return l
}

// Sequences returns the indices of all sequences. The caller must not change them.
func (l *Ledger) Sequences() []int { return l.all }

// Spent returns the cost so far in block-tokens.
func (l *Ledger) Spent() float64 { return l.spent }

// PaperCost returns what the paper's procedure would pay for scoring candidates on the whole set: a full pass for each.
func (l *Ledger) PaperCost(removed blockmask.Mask, candidates []blockmask.Mask) float64 {
	return l.cost.paper(removed, candidates).Times(l.cost, l.tokens, l.scored)
}

// PaperTotal returns what the paper's procedure would pay for steps removals of unit, taken from the middle of the model.
func (l *Ledger) PaperTotal(unit blockmask.Unit, steps int) float64 {
	total := 0.0
	var removed blockmask.Mask
	for range steps {
		cands := blockmask.Candidates(unit, l.cost.Blocks, removed)
		if len(cands) == 0 {
			break
		}
		total += l.PaperCost(removed, cands)
		removed = removed.Union(cands[len(cands)/2])
	}
	return total
}

// Predict returns what one evaluation on the whole set costs, in block-tokens, as if nothing of it were known.
func (l *Ledger) Predict(removed blockmask.Mask, candidates []blockmask.Mask, base bool) float64 {
	return l.cost.Eval(removed, candidates, base, l.source.Branches()).Times(l.cost, l.tokens, l.scored)
}

// Cost returns what the ledger counts by.
func (l *Ledger) Cost() Cost { return l.cost }

// OfMean returns the score that goes with a mean loss.
func (l *Ledger) OfMean(mean float64) float64 { return l.source.OfMean(mean) }

// Known returns the score of the whole model where it follows from what losses are, without a measurement.
func (l *Ledger) Known() (score float64, ok bool) { return l.source.Known() }

// Size returns the tokens of the sequences which, and how many of them are scored.
func (l *Ledger) Size(which []int) (tokens, scored int) {
	for _, i := range which {
		t, s := l.source.Size(i)
		tokens += t
		scored += s
	}
	return tokens, scored
}

// Score returns the scores on the whole set.
func (l *Ledger) Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (float64, []float64, error) {
	return l.ScoreOn(ctx, l.all, removed, candidates, true)
}

// ScoreOn returns the scores on the sequences which; base is NaN if it is not wanted.
func (l *Ledger) ScoreOn(ctx context.Context, which []int, removed blockmask.Mask, candidates []blockmask.Mask, wantBase bool) (
	base float64, scores []float64, err error,
) {
	if err := l.Measure(ctx, which, removed, candidates, wantBase); err != nil {
		return 0, nil, err
	}
	base = math.NaN()
	if wantBase {
		base = l.Fold(which, removed)
	}
	for _, c := range candidates {
		scores = append(scores, l.Fold(which, removed.Union(c)))
	}
	return base, scores, nil
}

// Fold returns the score of a mask that was measured on which.
func (l *Ledger) Fold(which []int, m blockmask.Mask) float64 {
	losses := make([]float64, len(which))
	for j, i := range which {
		losses[j] = l.known[m.Key()][i]
	}
	return l.source.Fold(which, losses)
}

// Means returns the mean loss of a mask on each of the sequences which, NaN where it was not measured.
func (l *Ledger) Means(which []int, m blockmask.Mask) []float64 {
	means := make([]float64, len(which))
	known := l.known[m.Key()]
	for j, i := range which {
		means[j] = math.NaN()
		if known != nil {
			_, scored := l.source.Size(i)
			means[j] = known[i] / float64(scored)
		}
	}
	return means
}

// Measure makes sure that the losses of candidates (and of removed alone, if base is set) are known on the sequences which.
// Batches are the outer loop: what candidates have in common runs once for each batch.
func (l *Ledger) Measure(ctx context.Context, which []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool) error {
	batches, err := l.source.Batches(l.unknown(which, removed, candidates, base))
	if err != nil {
		return err
	}
	for _, batch := range batches {
		var missing []blockmask.Mask
		for _, c := range candidates {
			if !l.has(l.known, batch, removed.Union(c)) {
				missing = append(missing, c)
			}
		}
		wantBase := base && !l.has(l.known, batch, removed)
		if len(missing) == 0 && !wantBase {
			continue
		}
		if err := l.batch(ctx, batch, removed, missing, wantBase); err != nil {
			return err
		}
	}
	if l.journal == nil {
		return nil
	}
	return l.journal.Sync()
}

// unknown returns the sequences of which on which something is still to be measured.
func (l *Ledger) unknown(which []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool) []int {
	var rows [][]float64
	if base {
		rows = append(rows, l.known[removed.Key()])
	}
	for _, c := range candidates {
		rows = append(rows, l.known[removed.Union(c).Key()])
	}
	return slices.DeleteFunc(slices.Clone(which), func(i int) bool {
		return !slices.ContainsFunc(rows, func(row []float64) bool { return row == nil || math.IsNaN(row[i]) })
	})
}

func (l *Ledger) has(in map[string][]float64, batch []int, m blockmask.Mask) bool {
	losses := in[m.Key()]
	for _, i := range batch {
		if losses == nil || math.IsNaN(losses[i]) {
			return false
		}
	}
	return true
}

// batch learns the losses of one batch: from the journal what it knows, the rest from the source.
func (l *Ledger) batch(ctx context.Context, batch []int, removed blockmask.Mask, candidates []blockmask.Mask, base bool) error {
	tokens, scored := l.Size(batch)
	price := func(cands []blockmask.Mask, base bool) float64 {
		return l.cost.Eval(removed, cands, base, l.source.Branches()).Times(l.cost, tokens, scored)
	}
	l.spent += price(candidates, base)
	var run []blockmask.Mask
	for _, c := range candidates {
		if !l.has(l.replay, batch, removed.Union(c)) {
			run = append(run, c)
			continue
		}
		l.recall(batch, removed.Union(c))
		l.told(BatchRun{Candidate: c, Tokens: tokens, Cost: price([]blockmask.Mask{c}, false), Replayed: true})
	}
	if base && l.has(l.replay, batch, removed) {
		l.recall(batch, removed)
		base = false
	}
	if len(run) == 0 && !base {
		return nil
	}
	before := price(run, base)
	for _, c := range run {
		_, after := l.cost.around(removed, c)
		before -= Usage{Blocks: float64(after), Heads: 1}.Times(l.cost, tokens, scored)
	}
	return l.source.Losses(ctx, batch, removed, run, base, func(i int, losses []float64) error {
		m, told := removed, BatchRun{Tokens: tokens, Cost: before}
		if i >= 0 {
			_, after := l.cost.around(removed, run[i])
			m, told.Candidate = removed.Union(run[i]), run[i]
			told.Cost = Usage{Blocks: float64(after), Heads: 1}.Times(l.cost, tokens, scored)
			if i == 0 && !base {
				told.Cost += before
			}
		}
		if len(losses) != len(batch) {
			return fmt.Errorf("source gave %d losses for %d sequences", len(losses), len(batch))
		}
		l.learn(batch, m, losses)
		l.told(told)
		if err := l.note(batch, m, losses); err != nil {
			return err
		}
		return l.stopped()
	})
}

// note keeps a measurement in the journal.
func (l *Ledger) note(batch []int, m blockmask.Mask, losses []float64) error {
	if l.journal == nil {
		return nil
	}
	return l.journal.Append(newMeasurement(l.part, m, batch, losses))
}

func (l *Ledger) stopped() error {
	if l.Stop == nil {
		return nil
	}
	return l.Stop()
}

// learn keeps losses where none are known yet.
func (l *Ledger) learn(batch []int, m blockmask.Mask, losses []float64) {
	keep(l.known, m.Key(), len(l.all), batch, losses)
}

func (l *Ledger) recall(batch []int, m blockmask.Mask) {
	losses := make([]float64, len(batch))
	for j, i := range batch {
		losses[j] = l.replay[m.Key()][i]
	}
	l.learn(batch, m, losses)
}

func (l *Ledger) told(r BatchRun) {
	if l.OnRun != nil {
		l.OnRun(r)
	}
}

// keep stores losses of the sequences batch of n under key, except where one is stored already. What is no number is +Inf.
func keep(in map[string][]float64, key string, n int, batch []int, losses []float64) {
	row := in[key]
	if row == nil {
		row = make([]float64, n)
		for i := range row {
			row[i] = math.NaN()
		}
		in[key] = row
	}
	for j, i := range batch {
		if !math.IsNaN(row[i]) {
			continue
		}
		if row[i] = losses[j]; !jsonnum.Finite(row[i]) {
			row[i] = math.Inf(1)
		}
	}
}
