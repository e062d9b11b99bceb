package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// Session opens a context that leaves blocks out.
func (s *Source) Session(ctx context.Context, nSeq, seqLen int) (engine.Session, error) {
	session, err := s.Model.NewSession(ctx, s.Spec.Session(nSeq, seqLen, false))
	if err != nil || !s.fresh {
		return session, err
	}
	s.fresh = false
	runner, ok := session.(engine.BlockRunner)
	for name, data := range s.changed {
		if !ok {
			err = errors.New("this engine cannot change weights")
		} else {
			err = errors.Join(err, runner.SetWeight(name, data))
		}
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// TypeOf is the type that the loaded model has a tensor in.
func (s *Source) TypeOf(name string) gguf.Type {
	if typ, ok := s.types[name]; ok {
		return typ
	}
	t, _ := s.File.Tensor(name)
	return t.Type
}

// Restore puts the file's weights back, until the model is closed.
func (s *Source) Restore(session engine.Session) error {
	for name := range s.changed {
		t, ok := s.File.Tensor(name)
		runner, can := session.(engine.BlockRunner)
		if !ok || !can {
			return fmt.Errorf("%s cannot be put back", name)
		}
		data, err := io.ReadAll(s.File.Data(t))
		if err != nil {
			return err
		}
		if err := runner.SetWeight(name, data); err != nil {
			return err
		}
	}
	return nil
}

// Session returns the parameters of a context for batches of nSeq sequences of seqLen tokens.
func (s Spec) Session(nSeq, seqLen int, unedited bool) engine.SessionParams {
	return engine.SessionParams{NSeq: nSeq, SeqLen: seqLen, Threads: s.Threads, FlashAttn: s.FlashAttn, Unedited: unedited}
}

// SetWeights says that the loaded model now has these weights, by their names and encoded as TypeOf says, in place of the file's:
// sessions of a model that is loaded again get them, too. filed is the same as a written file has it. Nil is the file's own.
func (s *Source) SetWeights(changed, filed map[string][]byte) { s.changed, s.filed = changed, filed }

// FileWeights are what a file holds in place of the source's: the same, less the channels that it lacks.
func (s *Source) FileWeights() map[string][]byte { return s.filed }

// Weights are those of SetWeights.
func (s *Source) Weights() map[string][]byte { return s.changed }

// Types are those of LoadAs.
func (s *Source) Types() map[string]gguf.Type { return s.types }

// LoadAs loads the model in a copy of its file, at path, that has some tensors in other types; types says which.
func (s *Source) LoadAs(ctx context.Context, path string, types map[string]gguf.Type) (err error) {
	s.CloseModel()
	s.Model, err = s.Spec.Load(ctx, path)
	s.types, s.fresh = types, true
	return err
}

// SetTypes says which types a file has where the copy that LoadAs loaded has others: those of LoadAs are forgotten.
func (s *Source) SetTypes(types map[string]gguf.Type) { s.types = types }

// LoadPlain loads the model in its own file's types again.
func (s *Source) LoadPlain(ctx context.Context) error {
	s.CloseModel()
	return s.Reload(ctx)
}
