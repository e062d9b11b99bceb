package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// Runtime says which model to load, and how it is to run.
type Runtime struct {
	Path      string        // the GGUF file; of a split model any file
	Ref       *modelref.Ref // the name that led to Path; nil where a path was given
	Model     llamabind.ModelParams
	Threads   int
	FlashAttn string // auto, on or off

	// Load loads a model; nil is llama.cpp. Tests put an engine of their own here.
	Load Loader
}

// Loader loads the model at path.
type Loader func(ctx context.Context, path string, p llamabind.ModelParams) (Model, error)

// Model is what the jobs need of a loaded model: *llamabind.Model behind an interface.
type Model interface {
	perplexity.Tokenizer
	Info() llamabind.ModelInfo
	EOS() perplexity.Token // -1 if the model has none
	Piece(t perplexity.Token, special bool) string
	EOG(t perplexity.Token) bool
	NewSession(ctx context.Context, p llamabind.SessionParams) (Session, error)
	NewBench(p llamabind.BenchParams) (Bench, error)
	Generate(ctx context.Context, prompt string, n, threads int) (string, error)
	Close()
}

// Session is a context on a model: *llamabind.Session behind an interface.
type Session interface {
	perplexity.Engine
	Weights(b blockmask.Block) []string
	EvalPlain(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask) ([][]float64, error)
	Logits(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, row func(seq, pos int, logits []float32) error) error
	Close()
}

// Bench is a context that speed is measured on: *llamabind.Bench behind an interface.
type Bench interface {
	Prompt(ctx context.Context, n int) (time.Duration, error)
	Generate(ctx context.Context, n int) (time.Duration, error)
	MemoryBytes() int64
	Close()
}

// load loads the model at path, which is Path or a file written from it.
func (r Runtime) load(ctx context.Context, path string) (Model, error) {
	if r.Load != nil {
		return r.Load(ctx, path, r.Model)
	}
	m, err := llamabind.LoadModel(ctx, path, r.Model)
	if err != nil {
		return nil, err
	}
	return llamaModel{m}, nil
}

// llamaModel is a *llamabind.Model as a Model: only some result types differ.
type llamaModel struct{ *llamabind.Model }

func (m llamaModel) NewSession(ctx context.Context, p llamabind.SessionParams) (Session, error) {
	s, err := m.Model.NewSession(ctx, p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (m llamaModel) NewBench(p llamabind.BenchParams) (Bench, error) {
	b, err := m.Model.NewBench(p)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// plainEngine evaluates by the plain path, which edited and stock contexts have in common: the check compares like with
// like.
type plainEngine struct{ Session }

// Eval implements perplexity.Engine without candidates.
func (e plainEngine) Eval(ctx context.Context, batch []perplexity.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
	yield func(i int, nll [][]float64) error,
) error {
	if len(candidates) > 0 {
		return errors.New("the plain path evaluates no candidates")
	}
	nll, err := e.EvalPlain(ctx, batch, removed)
	if err != nil {
		return err
	}
	return yield(-1, nll)
}
