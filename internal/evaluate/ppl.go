package evaluate

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
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
	m := measurer{spec: j.Spec, batch: j.Text.Batch, ubatch: j.UBatch, mask: j.Mask}
	eval, stop, err := m.open(ctx, src, set, "perplexity", sink)
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
