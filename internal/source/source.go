package source

import (
	"context"
	"fmt"
	"sync"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
)

// Source is the model that a job starts from: its file, and the model loaded from it.
type Source struct {
	Spec  Spec
	File  *gguf.File
	Model engine.Model // nil after CloseModel

	changed map[string][]byte    // see SetWeights
	filed   map[string][]byte    // see FileWeights
	types   map[string]gguf.Type // see LoadAs
	fresh   bool                 // the model was loaded since they were set

	sizes *layout.Sizes // of its blocks, once they are asked for

	hash func() (string, error)
	stop context.CancelFunc // of the hashing
}

// Open opens the model's file and loads it. What the file cannot be used for is found before the loading.
func Open(ctx context.Context, spec Spec) (*Source, error) {
	f, err := OpenFile(spec.Path)
	if err != nil {
		return nil, spec.damaged(err)
	}
	if err := CheckDecoder(f); err != nil {
		f.Close()
		return nil, spec.named(err)
	}
	s := &Source{Spec: spec, File: f}
	// An interrupted search still wants the hash, for the plan so far: Close ends the hashing, not ctx.
	hashing, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.hash = sync.OnceValues(func() (string, error) { return f.SHA256(hashing) })
	if err := s.loadChecked(ctx); err != nil {
		s.Close()
		return nil, err
	}
	m := s.Model
	if info := m.Info(); info.HasEncoder || !info.HasDecoder {
		s.Close()
		return nil, &UnsupportedError{fmt.Sprintf("%s: architecture %s has an encoder; only decoder models can be pruned", spec.Path, info.Arch)}
	}
	return s, nil
}

// SHA256 returns the hash of the model's file. It is computed once, on the first call: StartHash makes that early.
func (s *Source) SHA256() (string, error) { return s.hash() }

// StartHash computes the hash in the background, where a search follows that takes longer.
func (s *Source) StartHash() { go func() { _, _ = s.hash() }() } // SHA256 returns the error

// Reload loads the model again if it was closed, in its own file's types.
func (s *Source) Reload(ctx context.Context) error {
	if s.Model != nil {
		return nil
	}
	m, err := s.Spec.Load(ctx, s.Spec.Path)
	if err != nil {
		return s.Spec.LoadError(s.Spec.Path, s.File, err)
	}
	s.Model, s.fresh, s.types = m, true, nil
	return nil
}

// Unmap loads the model without mapping its file, if it is mapped: only then can its weights be changed.
func (s *Source) Unmap(ctx context.Context) error {
	if s.Spec.Model.NoMmap {
		return nil
	}
	s.CloseModel()
	s.Spec.Model.NoMmap = true
	return s.Reload(ctx)
}

// CloseModel frees the loaded model and keeps the file open, so that another model can be loaded.
func (s *Source) CloseModel() {
	if s.Model != nil {
		s.Model.Close()
		s.Model = nil
	}
}

// Close frees everything.
func (s *Source) Close() {
	if s.stop != nil {
		s.stop()
		s.hash() //nolint:errcheck // it must not read from the file any more
	}
	s.CloseModel()
	s.File.Close()
}
