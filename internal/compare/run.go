package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/perplexity/kld"
)

// runner is a loaded model of a comparison.
type runner struct {
	label, path string
	removed     blockmask.Mask // left out of its graph
	model       engine.Model
	bench       engine.Bench // nil until its speed is measured
}

func (r *runner) close() {
	if r.bench != nil {
		r.bench.Close()
		r.bench = nil
	}
	if r.model != nil {
		r.model.Close()
		r.model = nil
	}
}

// load loads a model, and makes sure that it has the tokens that the text was cut into.
func (c *comparer) load(ctx context.Context, m Contender, f *gguf.File) (*runner, error) {
	model, err := c.j.Spec.Load(ctx, m.Path)
	if err != nil && c.reference != nil && !c.mustFit && ctx.Err() == nil {
		// Together they may be too large. What they predict does not need both at once.
		c.sink.Warnf("speeds are not compared: %s does not load beside the reference: %v", m.Path, err)
		c.reference.close()
		c.reference, c.j.Speed = nil, nil
		model, err = c.j.Spec.Load(ctx, m.Path)
	}
	if err != nil {
		return nil, c.j.Spec.LoadError(m.Path, f, err)
	}
	r := &runner{label: m.Label, path: m.Path, removed: m.Removed, model: model}
	if err := c.checkTokens(r); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// checkTokens cuts the text for the first model, and compares the vocabularies of all others with its.
func (c *comparer) checkTokens(r *runner) error {
	info := r.model.Info()
	switch {
	case info.HasEncoder || !info.HasDecoder:
		return &source.UnsupportedError{Text: fmt.Sprintf("%s: architecture %s has an encoder; only decoder models can be compared", r.path, info.Arch)}
	case r.model.AddEOS():
		return &source.UnsupportedError{Text: r.path + " ends every text with EOS, for which llama-perplexity's windows are not defined; it cannot be compared"}
	case c.shape.Vocab != 0 && info.NVocab != c.shape.Vocab:
		return fmt.Errorf("%s has a vocabulary of %d tokens, the reference %d; only models with the same tokenizer can be compared", r.path, info.NVocab, c.shape.Vocab)
	case c.j.BaseLogits != "":
		return nil
	}
	stream, err := r.model.Tokenize(c.text, true, false)
	if err != nil {
		return err
	}
	if c.shape.Vocab == 0 {
		return c.cut(stream, info)
	}
	if len(stream) < len(c.shape.Tokens) || !slices.Equal(stream[:len(c.shape.Tokens)], c.shape.Tokens) {
		return fmt.Errorf("%s splits the text into other tokens than the reference; only models with the same tokenizer can be compared", r.path)
	}
	return nil
}

// cut takes the windows of the text.
func (c *comparer) cut(stream []engine.Token, info engine.ModelInfo) error {
	t := c.j.Text
	t.Context = source.DefaultContext(t.Context, info)
	if len(stream) < 2*t.Context {
		return fmt.Errorf("%s is %w: it has %d tokens, windows of %d need at least %d; give more text or a smaller context (-c)",
			c.out.Text, perplexity.ErrTooShort, len(stream), t.Context, 2*t.Context)
	}
	n := len(stream) / t.Context
	if t.Max > 0 {
		n = min(n, t.Max)
	}
	if info.NCtxTrain > 0 && t.Context > info.NCtxTrain {
		c.sink.Warnf("the model was trained on %d tokens of context only, -c is %d", info.NCtxTrain, t.Context)
	}
	c.shape = kld.BaseShape{Context: t.Context, Vocab: info.NVocab, Tokens: stream[:n*t.Context]}
	return nil
}

// openBase opens the user's base file.
func (c *comparer) openBase() error {
	base, f, err := kld.OpenBaseFile(c.j.BaseLogits)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			return fmt.Errorf("base logits %s: %w; check the path given with --base-logits", c.j.BaseLogits, outfile.Plain(err))
		}
		return fmt.Errorf("%w; make it anew with llama-perplexity --kl-divergence-base", err)
	}
	c.base, c.shape = f, base.BaseShape
	c.out.Text = "the text of " + filepath.Base(c.j.BaseLogits)
	c.out.Rows = []Row{{Label: "base logits", Path: c.j.BaseLogits}}
	return nil
}

// makeBase runs the reference, and keeps what it predicts in a file: there may be many gigabytes of it.
func (c *comparer) makeBase(ctx context.Context, r *runner) error {
	dir := os.TempDir()
	if c.j.SaveBase != "" {
		dir = filepath.Dir(c.j.SaveBase)
	}
	need := c.shape.Bytes()
	if free, err := outfile.Free(dir); err == nil && free < need {
		return fmt.Errorf("what the reference predicts takes %s, and folder %s has %s free; measure less text with --chunks, or point TMPDIR at another disk",
			format.MiB(need), dir, format.MiB(free))
	}
	if c.j.SaveBase != "" {
		return c.saveBase(ctx, r)
	}
	c.sink.Notef("what the reference predicts takes %s in %s while the comparison runs", format.MiB(need), dir)
	f, err := outfile.Unnamed(dir)
	if err != nil {
		return fmt.Errorf("cannot keep what the reference predicts: %w; point TMPDIR at a folder that you may write to", err)
	}
	c.base = f
	return c.writeBase(ctx, r, f)
}

// saveBase is makeBase with a file that stays.
func (c *comparer) saveBase(ctx context.Context, r *runner) error {
	f, err := outfile.Create(c.j.SaveBase, outfile.Options{Force: c.j.Force, Size: c.shape.Bytes(), Perm: 0o644})
	if err != nil {
		return fmt.Errorf("base logits: %w", err)
	}
	defer f.Discard() //nolint:errcheck // nothing is left once it has its name; else the first error counts
	if err := c.writeBase(ctx, r, f); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("base logits: %w", err)
	}
	c.base, err = os.Open(c.j.SaveBase)
	return err
}

func (c *comparer) writeBase(ctx context.Context, r *runner, w io.Writer) error {
	b, err := kld.NewBaseWriter(w, c.shape)
	if err != nil {
		return err
	}
	if err := c.run(ctx, r, b.Window); err != nil {
		if errors.Is(err, kld.ErrNoNumbers) {
			return fmt.Errorf("%s: %w, so that nothing can be compared with it; is the file damaged?", r.path, err)
		}
		return err
	}
	return b.Close()
}

// measure compares what a model predicts with what the reference did.
func (c *comparer) measure(ctx context.Context, r *runner) (*kld.Report, error) {
	base, err := c.baseReader()
	if err != nil {
		return nil, err
	}
	m := kld.NewMeter(base)
	if err := c.run(ctx, r, m.Window); err != nil {
		if errors.Is(err, kld.ErrDamaged) && c.j.BaseLogits != "" {
			return nil, fmt.Errorf("base logits %s: %w; make them anew with llama-perplexity --kl-divergence-base", c.j.BaseLogits, err)
		}
		return nil, err
	}
	report := m.Report()
	if !report.Finite() {
		c.sink.Warnf("%s: its predictions are no numbers (NaN or infinite), so that nothing can be said of it; is the file damaged?", r.path)
	}
	return &report, nil
}

// run runs a model over all windows. window gets the logits of each one's scored positions, valid during the call.
func (c *comparer) run(ctx context.Context, r *runner, window func(rows [][]float32) error) error {
	seqs := perplexity.WindowSet(c.out.Text, c.shape.Tokens, c.shape.Context, r.model).Sequences
	nSeq, seqLen := c.j.Text.Shape(c.shape.Context)
	p := engine.SessionParams{
		NSeq: nSeq, SeqLen: seqLen, Threads: c.j.Spec.Threads, FlashAttn: c.j.Spec.FlashAttn,
		Unedited: true, Batch: c.batch(nSeq, seqLen), UBatch: c.ubatch(nSeq, seqLen),
	}
	if r.removed.Len() > 0 { // an edited session makes one graph of a batch: of as many tokens as the others' graphs
		nSeq = max(1, p.UBatch/seqLen)
		p.NSeq, p.Unedited, p.Batch, p.UBatch = nSeq, false, 0, 0
	}
	s, err := r.model.NewSession(ctx, p)
	if err != nil {
		return err
	}
	defer s.Close()
	bar := c.sink.Start("compare: "+r.label, int64(len(seqs)))
	defer bar.Stop()
	done := 0
	for batch := range slices.Chunk(seqs, nSeq) {
		rows := make([][][]float32, len(batch))
		err := s.Logits(ctx, batch, r.removed, func(seq, _ int, logits []float32) error {
			rows[seq] = append(rows[seq], logits)
			return nil
		})
		if err != nil {
			return err
		}
		for _, w := range rows {
			if err := window(w); err != nil {
				return err
			}
			done++
			bar.Set(int64(done), "")
		}
	}
	return nil
}
