package compare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/source"
)

// CheckRival reports what keeps the user's rival from being set beside the original, whose file is at path; nil where the user
// named none. Only headers are read.
func (j Job) CheckRival(path string) error {
	if j.RivalFile.Path == "" {
		return nil
	}
	original, err := source.OpenFile(path)
	if err != nil {
		return err
	}
	defer original.Close()
	f, err := j.openRival(original)
	if err != nil {
		return err
	}
	return f.Close()
}

// openRival opens the user's rival, which must be a model of the same architecture and vocabulary as the original.
func (j Job) openRival(original *gguf.File) (*gguf.File, error) {
	name, path := j.RivalFile.Label, j.RivalFile.Path
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rival %s does not exist; check the path given with --rival", path)
	}
	if gguf.SameFile(path, original) {
		return nil, fmt.Errorf("rival %s is the original itself; give another quantisation of it with --rival", name)
	}
	f, err := source.OpenFile(path)
	switch {
	case errors.Is(err, gguf.ErrNotGGUF):
		return nil, fmt.Errorf("rival %s is not a GGUF file; give a model in GGUF format with --rival", path)
	case err != nil:
		return nil, fmt.Errorf("rival: %w", err)
	}
	if err = source.CheckDecoder(f); err == nil {
		switch {
		case f.Arch() != original.Arch():
			err = fmt.Errorf("rival %s has the architecture %s, the original %s; give a quantisation of the same model with --rival", name, f.Arch(), original.Arch())
		case !sameVocabulary(original, f):
			err = fmt.Errorf("rival %s has another tokenizer than the original; give a quantisation of the same model with --rival", name)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// givenRival measures the file that the user named.
func (c *comparer) givenRival(ctx context.Context) error {
	f, err := c.j.openRival(c.files[0])
	if err != nil {
		return err
	}
	defer f.Close()
	return c.measureRival(ctx, Rival{Origin: Given, Label: c.j.RivalFile.Label, Path: c.j.RivalFile.Path}, f)
}
