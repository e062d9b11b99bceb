package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/tasks"
	"github.com/ggufprune/ggufprune/perplexity"
)

// TasksJob asks for a model's accuracy on multiple-choice tasks.
type TasksJob struct {
	Spec    source.Spec
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

// TasksOutcome is the answer: a result for each file, in order.
type TasksOutcome struct {
	Model    string
	LlamaCpp string // which llama.cpp it ran on
	Context  int
	Files    []string
	Results  []*tasks.Result
}

// Tasks reads all files before it loads the model, so that what is wrong with one shows at once.
func Tasks(ctx context.Context, j TasksJob, sink progress.Sink) (*TasksOutcome, error) {
	sets, err := j.Read()
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, j.Spec)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return j.On(ctx, src, sets, sink)
}

// On measures a model that is loaded, with the weights that it has now.
func (j TasksJob) On(ctx context.Context, src *source.Source, sets []*tasks.Task, sink progress.Sink) (*TasksOutcome, error) {
	trained := src.Model.Info().NCtxTrain
	if j.Context == 0 {
		j.Context = trained
	} else if trained > 0 && j.Context > trained {
		sink.Warnf("the model was trained on %d tokens of context only, -c is %d", trained, j.Context)
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
	nll, err := j.measure(ctx, src, all, sink)
	if err != nil {
		return nil, err
	}
	out := &TasksOutcome{Model: src.Spec.Path, LlamaCpp: src.Spec.Engine.Version().Tag, Context: j.Context}
	for i, p := range prepared {
		n := len(p.Sequences)
		out.Files = append(out.Files, j.Tasks[i].Path)
		out.Results = append(out.Results, p.Score(nll[:n:n]))
		nll = nll[n:]
	}
	return out, nil
}

// Read reads the files and takes the items that are asked for.
func (j TasksJob) Read() ([]*tasks.Task, error) {
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

// measure runs the sequences of all tasks, packed by length, and returns the sum of each one's losses.
func (j TasksJob) measure(ctx context.Context, src *source.Source, seqs []engine.Sequence, sink progress.Sink) ([]float64, error) {
	set := &perplexity.Set{Convention: perplexity.Samples, Corpus: "the tasks", Context: j.Context, Sequences: seqs}
	m := measurer{spec: src.Spec, batch: j.Batch, ubatch: j.UBatch, mask: j.Mask}
	eval, stop, err := m.open(ctx, src, set, "evaluation", sink)
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
		if !jsonnum.Finite(s.NLL) {
			broken++
		}
	}
	if broken > 0 {
		return nil, fmt.Errorf("the loss of %d of %d answers is not finite, so that nothing can be said of them; is the file damaged%s?",
			broken, len(sums), orMask(j.Mask))
	}
	return nll, nil
}
