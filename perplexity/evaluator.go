package perplexity

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
)

// Evaluator measures masks by the losses of a set. It implements search.Scorer. It is as safe for concurrent use as its
// engine, which is: not.
type Evaluator struct {
	runner engine.Runner
	set    *Set
	all    []int

	// OnProgress, if not nil, is called after each run of a batch through the model.
	OnProgress func(Progress)
}

// Progress says how far a call of the evaluator has come. A run is one batch under one mask.
type Progress struct {
	Done, Total int // runs
	Tokens      int // tokens of the run that ended, without padding
	Candidate   int // index of the mask that ran, -1 for the base
}

// NewEvaluator returns the evaluator of set on engine, or an error if a sequence does not fit the engine's batches.
func NewEvaluator(runner engine.Runner, set *Set) (*Evaluator, error) {
	v := &Evaluator{runner: runner, set: set, all: ordered(len(set.Sequences), 0)}
	if len(v.all) == 0 {
		return nil, fmt.Errorf("%s gave no sequence to measure perplexity on", set.Corpus)
	}
	if _, err := v.pack(v.all); err != nil {
		return nil, err
	}
	return v, nil
}

// Set returns what the evaluator measures on.
func (v *Evaluator) Set() *Set { return v.set }

func (v *Evaluator) pack(which []int) ([][]int, error) {
	return pack(v.set.Sequences, which, v.runner.BatchTokens(), v.runner.BatchSeqs())
}

// Score returns the score (see [Set.Score]) with removed left out, and with removed and c left out for each c of candidates.
func (v *Evaluator) Score(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask) (float64, []float64, error) {
	base, sums, err := v.Sums(ctx, removed, candidates, v.all)
	if err != nil {
		return 0, nil, err
	}
	scores := make([]float64, len(sums))
	for i := range sums {
		scores[i] = v.set.Score(sums[i])
	}
	return v.set.Score(base), scores, nil
}

// Sums runs the sequences which (indices into the set) and returns the sums of their losses: base[j] for sequence which[j]
// with removed left out, cands[i][j] with removed and candidates[i] left out. Batches are the outer loop, so that every
// candidate reuses what the engine keeps of a batch's base run.
func (v *Evaluator) Sums(ctx context.Context, removed blockmask.Mask, candidates []blockmask.Mask,
	which []int,
) (base []Sum, cands [][]Sum, err error) {
	// Batches are made of positions in which, not of sequences.
	seqs := gather(v.set.Sequences, which)
	batches, err := pack(seqs, ordered(len(which), 0), v.runner.BatchTokens(), v.runner.BatchSeqs())
	if err != nil {
		return nil, nil, err
	}
	all := make([][]Sum, 1+len(candidates))
	for i := range all {
		all[i] = make([]Sum, len(which))
	}
	runs := len(batches) * len(all)
	done := 0
	for _, batch := range batches {
		err := v.run(ctx, gather(seqs, batch), removed, candidates, func(i int, sums []Sum, tokens int) error {
			for j, s := range batch {
				all[1+i][s] = sums[j]
			}
			done++
			if v.OnProgress != nil {
				v.OnProgress(Progress{Done: done, Total: runs, Tokens: tokens, Candidate: i})
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return all[0], all[1:], nil
}

// run evaluates one batch under all masks and makes sure that the engine reported each of them, once and whole.
func (v *Evaluator) run(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
	got func(i int, sums []Sum, tokens int) error,
) error {
	return v.runOn(ctx, v.runner.Eval, -1, batch, removed, candidates, got)
}

// evalFunc is [Engine.Eval] or [Brancher.EvalCandidates].
type evalFunc func(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
	yield func(i int, nll [][]float64) error) error

// runOn is run by eval, whose first report is next.
func (v *Evaluator) runOn(ctx context.Context, eval evalFunc, next int, batch []engine.Sequence, removed blockmask.Mask,
	candidates []blockmask.Mask, got func(i int, sums []Sum, tokens int) error,
) error {
	tokens := 0
	for _, s := range batch {
		tokens += len(s.Tokens)
	}
	err := eval(ctx, batch, removed, candidates, func(i int, nll [][]float64) error {
		if i != next || len(nll) != len(batch) {
			return fmt.Errorf("engine reported run %d with %d sequences, want run %d with %d", i, len(nll), next, len(batch))
		}
		next++
		sums := make([]Sum, len(batch))
		for j, s := range batch {
			if len(nll[j]) < len(s.Targets) {
				return fmt.Errorf("engine reported %d of %d positions of a sequence", len(nll[j]), len(s.Targets))
			}
			sums[j] = sumOf(s, nll[j])
		}
		if err := got(i, sums, tokens); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err == nil && next != len(candidates) {
		err = fmt.Errorf("engine reported %d of %d runs", next+1, len(candidates)+1)
	}
	return err
}

// Estimate returns the perplexity with removed left out. each, if not nil, is called in the order of the sequences with the
// number of sequences so far and their perplexity, as soon as all of them have run.
func (v *Evaluator) Estimate(ctx context.Context, removed blockmask.Mask, each func(n int, ppl float64)) (Estimate, error) {
	if v.set.Metric != NLL {
		return Estimate{}, fmt.Errorf("a set with references measures KL divergence, not perplexity")
	}
	batches, err := v.pack(v.all)
	if err != nil {
		return Estimate{}, err
	}
	sums := make([]Sum, len(v.all))
	told := 0
	for k, batch := range batches {
		err := v.run(ctx, gather(v.set.Sequences, batch), removed, nil, func(i int, got []Sum, tokens int) error {
			for j, s := range batch {
				sums[s] = got[j]
			}
			if v.OnProgress != nil {
				v.OnProgress(Progress{Done: k + 1, Total: len(batches), Tokens: tokens, Candidate: i})
			}
			return nil
		})
		if err != nil {
			return Estimate{}, err
		}
		for each != nil && told < len(sums) && sums[told].Count > 0 {
			told++
			each(told, PPL(v.set.Convention, sums[:told]))
		}
	}
	return estimate(v.set.Convention, sums), nil
}
