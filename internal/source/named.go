package source

import (
	"context"
	"errors"
	"fmt"
)

// Given is the name that led to the model, or "".
func (s Spec) Given() string {
	if s.Ref == nil {
		return ""
	}
	return s.Ref.Given
}

// named adds to an error about the kind of model the name that led to it.
func (s Spec) named(err error) error {
	var unsupported *UnsupportedError
	if s.Given() == "" || !errors.As(err, &unsupported) {
		return err
	}
	return &UnsupportedError{"model " + s.Given() + ": " + unsupported.Text}
}

// damaged adds to an error about the model's file how to get it again, where that is known.
func (s Spec) damaged(err error) error {
	if s.Ref == nil || s.Ref.Again == "" {
		return err
	}
	return fmt.Errorf("model %s: %w; get it again with: %s", s.Ref.Given, err, s.Ref.Again)
}

// loadChecked loads the model. Where its file must have a certain hash, that is computed meanwhile: the loading reads the same
// bytes, and a search would want the hash anyway. A file that was changed is no source, whether llama.cpp loads it or not.
func (s *Source) loadChecked(ctx context.Context) error {
	spec := s.Spec
	if spec.Ref != nil && spec.Ref.SHA256 != "" {
		s.StartHash()
	}
	m, err := spec.Load(ctx, spec.Path)
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
		return spec.LoadError(spec.Path, s.File, err)
	}
	return nil
}

// checkHash compares the file's hash with the one that it must have, if there is one.
func (s *Source) checkHash(ctx context.Context) error {
	ref := s.Spec.Ref
	if ref == nil || ref.SHA256 == "" {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		got, err := s.SHA256()
		if err == nil && got != ref.SHA256 {
			err = s.Spec.damaged(fmt.Errorf("%s was changed: its SHA-256 is %s, and not the digest that is its name", s.Spec.Path, got))
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
