package evaluate

import (
	"context"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// measurer opens the session that sets are measured on: a stock one, as llama-perplexity has it, or one that leaves blocks out.
type measurer struct {
	spec   source.Spec
	batch  int            // tokens of a batch
	ubatch int            // tokens of one graph, of which llama.cpp makes a batch
	mask   blockmask.Mask // blocks to leave out
}

// open returns what measures set, and shows a progress that it moves; stop ends both.
func (m measurer) open(ctx context.Context, src *source.Source, set *perplexity.Set, label string, sink progress.Sink) (_ *perplexity.Evaluator, stop func(), err error) {
	session, runner, err := m.session(ctx, src, set.Longest())
	if err != nil {
		return nil, nil, err
	}
	eval, err := perplexity.NewEvaluator(runner, set)
	if err != nil {
		session.Close()
		return nil, nil, err
	}
	bar, tokens := sink.Start(label, int64(set.Tokens())), 0
	eval.OnProgress = func(p perplexity.Progress) {
		tokens += p.Tokens
		bar.Set(int64(tokens), "")
	}
	return eval, func() {
		bar.Stop()
		session.Close()
	}, nil
}

// session opens the context for sequences of up to so many tokens, and returns it with what runs on it.
func (m measurer) session(ctx context.Context, src *source.Source, longest int) (engine.Session, engine.Runner, error) {
	nSeq, seqLen := corpus.Text{Batch: m.batch}.Shape(longest)
	p := engine.SessionParams{NSeq: nSeq, SeqLen: seqLen, Threads: m.spec.Threads, FlashAttn: m.spec.FlashAttn}
	if m.mask.Len() == 0 {
		// llama.cpp makes graphs of at most -ub tokens of decodes of at most -b.
		p.Unedited, p.Batch = true, min(m.batch, nSeq*seqLen)
		p.UBatch = min(m.ubatch, p.Batch)
		s, err := src.Model.NewSession(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		return s, source.PlainRunner{Session: s}, nil
	}
	// An edited context computes a batch as one graph.
	p.NSeq = min(nSeq, max(1, min(m.batch, m.ubatch)/seqLen))
	s, err := src.Model.NewSession(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := m.mask.Check(s.Blocks()); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, s, nil
}

// orMask is what else may be wrong where numbers are not finite.
func orMask(m blockmask.Mask) string {
	if len(m) == 0 {
		return ""
	}
	return ", or too much removed"
}
