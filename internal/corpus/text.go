package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/perplexity"
)

// BuiltIn is the name of the calibration text that comes with the program.
const BuiltIn = "built-in calibration text"

// Text says what a job measures perplexity on, and in which pieces.
type Text struct {
	File       string // the user's text; "" is the corpus that comes with the program
	Files      *Files // what is kept of the user's texts; nil reads them anew each time
	Convention perplexity.Convention
	Context    int    // n_ctx: tokens of a window, most tokens of a sample
	Batch      int    // tokens of one decode; at least one sequence always fits
	Max        int    // most sequences; 0 is all
	Seed       uint64 // which ones; 0 is the first ones
}

// Read reads the text, without a model, so that what is wrong with it shows at once.
func (t Text) Read() (*perplexity.Corpus, error) {
	if t.File == "" {
		return perplexity.Read(bytes.NewReader(Calibration()), BuiltIn, perplexity.Auto)
	}
	c, err := t.Files.corpus(t.File)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("text %s: %w; check its path", t.File, outfile.Plain(err))
	}
	if err != nil {
		return nil, err
	}
	// The name goes into plans and written files, which others may read: the folder stays private.
	c.Name = filepath.Base(t.File)
	return c, nil
}

// ReadEvaluation reads what a result is measured on: the user's text, or one that comes with the program and that no search
// by default has seen.
func (t Text) ReadEvaluation() (*perplexity.Corpus, error) {
	if t.File == "" {
		return perplexity.Read(bytes.NewReader(HeldOut()), "built-in held-out text", perplexity.Plain)
	}
	return t.Read()
}

// Set tokenises c as t says.
func (t Text) Set(c *perplexity.Corpus, tok engine.Tokenizer) (*perplexity.Set, error) {
	return perplexity.NewSet(t.Convention, c, tok, perplexity.SetOptions{Context: t.Context, Max: t.Max, Seed: t.Seed})
}

// Shape returns the batch for sequences of up to longest tokens: as many as fit into t.Batch tokens.
func (t Text) Shape(longest int) (nSeq, seqLen int) {
	return max(1, t.Batch/max(1, longest)), longest
}

// minWindow is the shortest window in tokens on which the check still measures a perplexity.
const minWindow = 16

// EvaluationSet returns what the check measures perplexity on: llama-perplexity's windows over the same text, so that a
// user can repeat the number, in windows of t.Context tokens or of half as many, and so on, where the text is short. Where
// windows are not defined for the model, it is t itself.
func (t Text) EvaluationSet(c *perplexity.Corpus, tok engine.Tokenizer) (*perplexity.Set, error) {
	if tok.AddEOS() {
		t.Convention = perplexity.Samples
		return t.Set(c, tok)
	}
	t.Convention = perplexity.Windows
	for {
		set, err := t.Set(c, tok)
		if err == nil || !errors.Is(err, perplexity.ErrTooShort) || t.Context/2 < minWindow {
			return set, err
		}
		t.Context /= 2
	}
}
