package source

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
)

// Spec says which model to load, and how it is to run.
type Spec struct {
	Engine    engine.Runtime
	Path      string        // the GGUF file; of a split model any file
	Ref       *modelref.Ref // the name that led to Path; nil where a path was given
	Model     engine.ModelParams
	Threads   int
	FlashAttn string // auto, on or off
}

// Load loads the model at path, which is Path or a file written from it. llama.cpp wants a split model's first file.
func (s Spec) Load(ctx context.Context, path string) (engine.Model, error) {
	return s.Engine.Load(ctx, gguf.Shards(path)[0], s.Model)
}

// Files are the paths of the model's files: several of a split one.
func (s Spec) Files() []string { return gguf.Shards(s.Path) }

// PlainRunner evaluates by the plain path, which edited and stock contexts have in common: the check compares like with
// like.
type PlainRunner struct{ engine.Session }

// Eval implements engine.Runner without candidates.
func (e PlainRunner) Eval(ctx context.Context, batch []engine.Sequence, removed blockmask.Mask, candidates []blockmask.Mask,
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
