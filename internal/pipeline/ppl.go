package pipeline

import (
	"context"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// PPLJob asks for a model's perplexity.
type PPLJob struct {
	Runtime Runtime
	Text    Text
	UBatch  int            // tokens of one graph, of which llama.cpp makes a batch
	Mask    blockmask.Mask // blocks to leave out
}

// PPLOutcome is the answer.
type PPLOutcome struct {
	Model    string
	Corpus   string
	Context  int
	Estimate perplexity.Estimate
}

// PPL measures a model. Without a mask it runs as llama-perplexity would: a stock context, batches of the same shape.
func PPL(ctx context.Context, j PPLJob, rep Reporter) (*PPLOutcome, error) {
	corpus, err := j.Text.ReadEvaluation()
	if err != nil {
		return nil, err
	}
	src, err := Open(ctx, j.Runtime)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	set, err := j.Text.set(corpus, src.Model)
	if err != nil {
		return nil, err
	}
	if n := src.Model.Info().NCtxTrain; n > 0 && set.Longest() > n {
		rep.Warnf("the model was trained on %d tokens of context only, -c is %d", n, j.Text.Context)
	}
	eval, stop, err := j.evaluator(ctx, src, set, "perplexity", rep)
	if err != nil {
		return nil, err
	}
	defer stop()
	est, err := eval.Estimate(ctx, j.Mask, nil)
	if err != nil {
		return nil, err
	}
	if !finite(est.PPL) {
		rep.Warnf("the perplexity is not finite; is the file damaged%s?", orMask(j.Mask))
	}
	return &PPLOutcome{Model: j.Runtime.Path, Corpus: corpus.Name, Context: j.Text.Context, Estimate: est}, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// evaluator opens what measures set, and a progress that it moves; stop closes both.
func (j PPLJob) evaluator(ctx context.Context, src *Source, set *perplexity.Set, label string, rep Reporter) (*perplexity.Evaluator, func(), error) {
	engine, closeEngine, err := j.engine(ctx, src, set)
	if err != nil {
		return nil, nil, err
	}
	eval, err := perplexity.NewEvaluator(engine, set)
	if err != nil {
		closeEngine()
		return nil, nil, err
	}
	progress, tokens := rep.Start(label, int64(set.Tokens())), 0
	eval.OnProgress = func(p perplexity.Progress) {
		tokens += p.Tokens
		progress.Set(int64(tokens), "")
	}
	return eval, func() {
		progress.Stop()
		closeEngine()
	}, nil
}

// engine opens the context that measures: stock without a mask, else one that leaves the mask's blocks out.
func (j PPLJob) engine(ctx context.Context, src *Source, set *perplexity.Set) (engine.Runner, func(), error) {
	nSeq, seqLen := j.Text.shape(set.Longest())
	p := engine.SessionParams{NSeq: nSeq, SeqLen: seqLen, Threads: j.Runtime.Threads, FlashAttn: j.Runtime.FlashAttn}
	if j.Mask.Len() == 0 {
		p.Unedited, p.UBatch = true, min(j.UBatch, nSeq*seqLen)
		s, err := src.Model.NewSession(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		return plainEngine{s}, s.Close, nil
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
