package evaluate

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// PPLJob asks for a model's perplexity.
type PPLJob struct {
	Spec   source.Spec
	Text   corpus.Text
	UBatch int            // tokens of one graph, of which llama.cpp makes a batch
	Mask   blockmask.Mask // blocks to leave out
}

// PPLOutcome is the answer.
type PPLOutcome struct {
	Model    string
	Corpus   string
	Context  int
	Estimate perplexity.Estimate
}

// PPL measures a model. Without a mask it runs as llama-perplexity would: a stock context, batches of the same shape.
func PPL(ctx context.Context, j PPLJob, sink progress.Sink) (*PPLOutcome, error) {
	text, err := j.Text.ReadEvaluation()
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, j.Spec)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	set, err := j.Text.Set(text, src.Model)
	if err != nil {
		return nil, err
	}
	if n := src.Model.Info().NCtxTrain; n > 0 && set.Longest() > n {
		sink.Warnf("the model was trained on %d tokens of context only, -c is %d", n, j.Text.Context)
	}
	eval, stop, err := j.evaluator(ctx, src, set, "perplexity", sink)
	if err != nil {
		return nil, err
	}
	defer stop()
	est, err := eval.Estimate(ctx, j.Mask, nil)
	if err != nil {
		return nil, err
	}
	if !jsonnum.Finite(est.PPL) {
		sink.Warnf("the perplexity is not finite; is the file damaged%s?", orMask(j.Mask))
	}
	return &PPLOutcome{Model: j.Spec.Path, Corpus: text.Name, Context: j.Text.Context, Estimate: est}, nil
}

// evaluator opens what measures set, and a progress that it moves; stop closes both.
func (j PPLJob) evaluator(ctx context.Context, src *source.Source, set *perplexity.Set, label string, sink progress.Sink) (*perplexity.Evaluator, func(), error) {
	runner, closeRunner, err := j.runner(ctx, src, set)
	if err != nil {
		return nil, nil, err
	}
	eval, err := perplexity.NewEvaluator(runner, set)
	if err != nil {
		closeRunner()
		return nil, nil, err
	}
	bar, tokens := sink.Start(label, int64(set.Tokens())), 0
	eval.OnProgress = func(p perplexity.Progress) {
		tokens += p.Tokens
		bar.Set(int64(tokens), "")
	}
	return eval, func() {
		bar.Stop()
		closeRunner()
	}, nil
}

// runner opens the context that measures: stock without a mask, else one that leaves the mask's blocks out.
func (j PPLJob) runner(ctx context.Context, src *source.Source, set *perplexity.Set) (engine.Runner, func(), error) {
	nSeq, seqLen := j.Text.Shape(set.Longest())
	p := engine.SessionParams{NSeq: nSeq, SeqLen: seqLen, Threads: j.Spec.Threads, FlashAttn: j.Spec.FlashAttn}
	if j.Mask.Len() == 0 {
		p.Unedited, p.UBatch = true, min(j.UBatch, nSeq*seqLen)
		s, err := src.Model.NewSession(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		return source.PlainRunner{Session: s}, s.Close, nil
	}
	// An edited context computes a batch as one graph.
	if nSeq = max(1, min(j.Text.Batch, j.UBatch)/seqLen); nSeq < p.NSeq {
		p.NSeq = nSeq
	}
	s, err := src.Model.NewSession(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := j.Mask.Check(s.Blocks()); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, s.Close, nil
}
