package pipeline

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/llamabind"
)

// Runtime says which model to load, and how it is to run.
type Runtime struct {
	Path      string        // the GGUF file; of a split model any file
	Ref       *modelref.Ref // the name that led to Path; nil where a path was given
	Model     engine.ModelParams
	Threads   int
	FlashAttn string // auto, on or off

	// Load loads a model; nil is llama.cpp. Tests put an engine of their own here.
	Load Loader
}

// Loader loads the model at path.
type Loader func(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error)

// load loads the model at path, which is Path or a file written from it.
func (r Runtime) load(ctx context.Context, path string) (engine.Model, error) {
	if r.Load != nil {
		return r.Load(ctx, path, r.Model)
	}
	return llamabind.Runtime{}.Load(ctx, path, r.Model)
}

// plainEngine evaluates by the plain path, which edited and stock contexts have in common: the check compares like with
// like.
type plainEngine struct{ engine.Session }

// Eval implements engine.Runner without candidates.
func (e plainEngine) Eval(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
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
