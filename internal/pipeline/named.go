package pipeline

import (
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/layout"
)

// given is the name that led to the model, or "".
func (r Runtime) given() string {
	if r.Ref == nil {
		return ""
	}
	return r.Ref.Given
}

// damaged adds to an error about the model's file how to get it again, where that is known.
func (r Runtime) damaged(err error) error {
	if r.Ref == nil || r.Ref.Again == "" {
		return err
	}
	return fmt.Errorf("model %s: %w; get it again with: %s", r.Ref.Given, err, r.Ref.Again)
}

// defaultName is the name of an output for which none was given, and which q quantises, if at all.
func (s *Source) defaultName(res *layout.Result, q *quantizer) string {
	known := ""
	if s.Runtime.Ref != nil {
		known = s.Runtime.Ref.Name
	}
	if q.types() {
		return layout.DefaultNameAs(s.File, res, known, q.Params.Type.Name)
	}
	return layout.DefaultName(s.File, res, known)
}

// loadChecked loads the model. Where its file must have a certain hash, that is computed meanwhile: the loading reads the same
// bytes, and a search would want the hash anyway. A file that was changed is no source, whether llama.cpp loads it or not.
func (s *Source) loadChecked(ctx context.Context) error {
	r := s.Runtime
	if r.Ref != nil && r.Ref.SHA256 != "" {
		s.StartHash()
	}
	m, err := r.load(ctx, r.Path)
	if err != nil && ctx.Err() != nil {
		return err
	}
	if err == nil {
		s.Model = m
	}
	if err := s.checkHash(ctx); err != nil {
		return err
	}
	if err != nil {
		return loadError(r.Path, s.File.Arch(), err)
	}
	return nil
}

// checkHash compares the file's hash with the one that it must have, if there is one.
func (s *Source) checkHash(ctx context.Context) error {
	ref := s.Runtime.Ref
	if ref == nil || ref.SHA256 == "" {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		got, err := s.SHA256()
		if err == nil && got != ref.SHA256 {
			err = s.Runtime.damaged(fmt.Errorf("%s was changed: its SHA-256 is %s, and not the digest that is its name", s.Runtime.Path, got))
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
