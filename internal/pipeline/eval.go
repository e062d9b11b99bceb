package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/perplexity"
)

// EvalJob asks for a model's accuracy on multiple-choice tasks.
type EvalJob struct {
	Runtime Runtime
	Tasks   []TaskFile
	Draw    map[tasks.Convention]int // how many items of llama-perplexity's forms, as its --*-tasks
	First   int                      // most items of each file, its first ones; 0 is all
	Context int                      // most tokens of a sequence; 0 is what the model was trained on
	Batch   int                      // tokens of a batch
	UBatch  int                      // tokens of one graph
	Mask    blockmask.Mask           // blocks to leave out
}

// TaskFile is an evaluation set to read.
type TaskFile struct{ Name, Path string }

// EvalOutcome is the answer: a result for each file, in order.
type EvalOutcome struct {
	Model   string
	Context int
	Files   []string
	Results []*tasks.Result
}

// Eval reads all files before it loads the model, so that what is wrong with one shows at once.
func Eval(ctx context.Context, j EvalJob, rep Reporter) (*EvalOutcome, error) {
	sets, err := j.read()
	if err != nil {
		return nil, err
	}
	src, err := Open(ctx, j.Runtime)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	trained := src.Model.Info().NCtxTrain
	if j.Context == 0 {
		j.Context = trained
	} else if trained > 0 && j.Context > trained {
		rep.Warnf("the model was trained on %d tokens of context only, -c is %d", trained, j.Context)
	}
	var prepared []*tasks.Prepared
	var all []engine.Sequence
	for _, t := range sets {
		p, err := t.Prepare(src.Model, j.Context)
		if err != nil {
			return nil, err
		}
		prepared = append(prepared, p)
		all = append(all, p.Sequences...)
	}
	nll, err := j.measure(ctx, src, all, rep)
	if err != nil {
		return nil, err
	}
	out := &EvalOutcome{Model: j.Runtime.Path, Context: j.Context}
	for i, p := range prepared {
		n := len(p.Sequences)
		out.Files = append(out.Files, j.Tasks[i].Path)
		out.Results = append(out.Results, p.Score(nll[:n:n]))
		nll = nll[n:]
	}
	return out, nil
}

// read reads the files and takes the items that are asked for.
func (j EvalJob) read() ([]*tasks.Task, error) {
	var out []*tasks.Task
	for _, f := range j.Tasks {
		t, err := tasks.ReadFile(f.Name, f.Path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("task file %s: %w; check the path given with --task %s=", f.Path, outfile.Plain(err), f.Name)
		}
		if err != nil {
			return nil, err
		}
		t.Draw(j.Draw[t.Convention])
		t.First(j.First)
		out = append(out, t)
	}
	return out, nil
}

// orMask is what else may be wrong where numbers are not finite.
func orMask(m blockmask.Mask) string {
	if len(m) == 0 {
		return ""
	}
	return ", or too much removed"
}

// measure runs the sequences of all tasks, packed by length, and returns the sum of each one's losses.
func (j EvalJob) measure(ctx context.Context, src *Source, seqs []engine.Sequence, rep Reporter) ([]float64, error) {
	set := &perplexity.Set{Convention: perplexity.Samples, Corpus: "the tasks", Context: j.Context, Sequences: seqs}
	p := PPLJob{Runtime: j.Runtime, Text: Text{Batch: j.Batch}, UBatch: j.UBatch, Mask: j.Mask}
	eval, stop, err := p.evaluator(ctx, src, set, "evaluation", rep)
	if err != nil {
		return nil, err
	}
	defer stop()
	which := make([]int, len(seqs))
	for i := range which {
		which[i] = i
	}
	sums, _, err := eval.Sums(ctx, j.Mask, nil, which)
	if err != nil {
		return nil, err
	}
	nll, broken := make([]float64, len(sums)), 0
	for i, s := range sums {
		nll[i] = s.NLL
		if !finite(s.NLL) {
			broken++
		}
	}
	if broken > 0 {
		return nil, fmt.Errorf("the loss of %d of %d answers is not finite, so that nothing can be said of them; is the file damaged%s?",
			broken, len(sums), orMask(j.Mask))
	}
	return nll, nil
}
