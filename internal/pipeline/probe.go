package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/perplexity"
)

// What the check compares, in numbers: some hundred positions over the full vocabulary, less where the vocabulary is so
// large that they would not fit into probeMemory.
const (
	probeRows   = 384
	probeMemory = 256 << 20 // bytes of reference logits kept while the written file runs
	outputLimit = 1 << 30   // bytes of the logits buffer that llama.cpp reserves for a batch
)

// probe is what the masked original and the written file are both run on.
type probe struct {
	text     string            // tokenised again by the written file
	tokens   []engine.Token    // what the original made of it
	rows     []engine.Sequence // few scored positions: their logits are compared
	eval     *perplexity.Set   // perplexity
	nSeq     int
	seqLen   int
	rowsOnly bool // no perplexity is wanted
	tooShort bool // the model's attention window is longer than the rows' sequences
}

// reading is what one of the two models gives on a probe.
type reading struct {
	rows []row
	ppl  perplexity.Estimate
}

// row is the logits of one position.
type row struct {
	seq, pos int
	logits   []float32
}

// newProbe chooses what to compare on text c. window is the model's sliding attention window in tokens, 0 if it has none:
// the sequences are longer than it where memory allows, since a layer with the wrong window is only then seen.
func newProbe(t Text, c *perplexity.Corpus, m engine.Model, window int) (*probe, error) {
	eval, err := t.evaluationSet(c, m)
	if err != nil {
		return nil, err
	}
	p := &probe{text: c.Text(), eval: eval, seqLen: eval.Longest()}
	if p.tokens, err = m.Tokenize(p.text, true, false); err != nil {
		return nil, fmt.Errorf("tokenize %s: %w", c.Name, err)
	}
	info := m.Info()
	if window >= p.seqLen {
		longest := min(info.NCtxTrain, outputLimit/(4*max(1, info.NVocab)), len(p.tokens))
		p.seqLen = max(p.seqLen, min(window+window/8+1, longest))
		p.tooShort = p.seqLen <= window
	}
	p.nSeq = max(1, t.Batch/p.seqLen)
	p.rows = p.choose(min(probeRows, max(16, probeMemory/(4*max(1, info.NVocab)))))
	return p, nil
}

// choose returns sequences of the text's first tokens with n scored positions in all, spread evenly from the first token to
// the last one that has a successor.
func (p *probe) choose(n int) []engine.Sequence {
	var seqs []engine.Sequence
	for start := 0; start == 0 || (start+p.seqLen <= len(p.tokens) && len(seqs) < p.nSeq); start += p.seqLen {
		tokens := slices.Clone(p.tokens[start:min(start+p.seqLen, len(p.tokens))])
		targets := make([]engine.Token, len(tokens))
		for i := range targets {
			targets[i] = engine.Unscored
		}
		seqs = append(seqs, engine.Sequence{Tokens: tokens, Targets: targets})
	}
	for _, s := range seqs {
		spread(s, max(1, n/len(seqs)))
	}
	return seqs
}

// spread marks up to n positions of s as scored, from the first to the last one that has a successor.
func spread(s engine.Sequence, n int) {
	last := len(s.Tokens) - 2
	n = min(n, last+1)
	for k := range n {
		pos := last
		if n > 1 {
			pos = k * last / (n - 1)
		}
		s.Targets[pos] = s.Tokens[pos+1]
	}
}

// read runs the probe through s with removed left out. row is called for each position's logits, valid during the call.
func (p *probe) read(ctx context.Context, s engine.Session, removed blockmask.Mask, progress Progress, row func(seq, pos int, logits []float32) error) (perplexity.Estimate, error) {
	if err := s.Logits(ctx, p.rows, removed, row); err != nil {
		return perplexity.Estimate{}, err
	}
	if p.rowsOnly {
		return perplexity.Estimate{}, nil
	}
	v, err := perplexity.NewEvaluator(plainEngine{s}, p.eval)
	if err != nil {
		return perplexity.Estimate{}, err
	}
	v.OnProgress = func(e perplexity.Progress) {
		progress.Set(int64(1000*e.Done/max(1, e.Total)), "")
	}
	return v.Estimate(ctx, removed, nil)
}

// withoutPPL is the probe without the perplexity, which takes most of the time.
func (p *probe) withoutPPL() *probe {
	rows := *p
	rows.rowsOnly = true
	return &rows
}

// reference reads the masked original and keeps its logits.
func (p *probe) reference(ctx context.Context, s engine.Session, removed blockmask.Mask, progress Progress) (reading, error) {
	var r reading
	var err error
	r.ppl, err = p.read(ctx, s, removed, progress, func(seq, pos int, logits []float32) error {
		r.rows = append(r.rows, row{seq, pos, slices.Clone(logits)})
		return nil
	})
	return r, err
}
