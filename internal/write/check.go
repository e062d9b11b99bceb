package write

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Check is what the comparison of a written file with the masked original found.
type Check struct {
	Rows       int     // positions compared, each over the full vocabulary
	MaxAbsDiff float64 // of log-probabilities, in nats
	NMSE       float64 // of log-probabilities
	Exact      bool    // the layout must be bit-identical

	Text    string // what the perplexities are of
	Context int    // tokens of a window
	Batch   int    // tokens of a batch, each one graph: another batch rounds otherwise
	Masked  perplexity.Estimate
	Written perplexity.Estimate
}

// maxPPLDrift is how far the two perplexities may be apart, relatively, where sums are reordered.
const maxPPLDrift = 1e-2

// compare loads the file at path as a user would, in a context that nothing edits, and holds it against the reading of the
// masked original. Where they differ, that is returned as text; the error is for what could not be run.
func (p *probe) compare(ctx context.Context, spec source.Spec, path string, want reading, exact bool, bar progress.Bar) (Check, string, error) {
	check := Check{Exact: exact, Text: p.eval.Corpus, Context: p.eval.Context, Batch: p.nSeq * p.eval.Context, Masked: want.ppl}
	var c rowDiff
	var differs string
	var err error
	check.Written, differs, err = p.measure(ctx, spec, path, want, &c, bar)
	if differs != "" || err != nil {
		return check, differs, err
	}
	check.Rows, check.MaxAbsDiff, check.NMSE = c.rows, c.maxAbs, c.nmse()
	return check, check.verdict(&c, len(want.rows)), nil
}

// measure runs the probe through the file at path and adds its rows to c. What makes that pointless is returned as text.
func (p *probe) measure(ctx context.Context, spec source.Spec, path string, want reading, c *rowDiff, bar progress.Bar) (perplexity.Estimate, string, error) {
	var none perplexity.Estimate
	m, err := spec.Load(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return none, "", err
		}
		return none, "llama.cpp does not load it: " + err.Error(), nil
	}
	defer m.Close()
	tokens, err := m.Tokenize(p.text, true, false)
	if err != nil {
		return none, "", err
	}
	if !slices.Equal(tokens, p.tokens) {
		return none, "its tokenizer splits the text otherwise than the original's", nil
	}
	s, err := m.NewSession(ctx, spec.Session(p.nSeq, p.seqLen, true))
	if err != nil {
		return none, "", err
	}
	defer s.Close()

	next := 0
	ppl, err := p.read(ctx, s, nil, bar, func(seq, pos int, logits []float32) error {
		if next >= len(want.rows) || want.rows[next].seq != seq || want.rows[next].pos != pos {
			return fmt.Errorf("engine reported position %d of sequence %d out of order", pos, seq)
		}
		next++
		return c.add(seq, pos, want.rows[next-1].logits, logits)
	})
	return ppl, "", err
}

// verdict says what is wrong with the written file, or "".
func (k Check) verdict(c *rowDiff, rows int) string {
	if c.rows != rows {
		return fmt.Sprintf("it gave %d of %d positions", c.rows, rows)
	}
	if text := c.verdict(k.Exact); text != "" {
		return text
	}
	if drift := math.Abs(k.Written.PPL/k.Masked.PPL - 1); !(drift <= maxPPLDrift) {
		return fmt.Sprintf("its perplexity is %.4f, the masked original's %.4f", k.Written.PPL, k.Masked.PPL)
	}
	return ""
}
