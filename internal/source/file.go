package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
)

// OpenFile opens the GGUF file, and adds the next step to the errors that have none.
func OpenFile(path string) (*gguf.File, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model %s does not exist; check the path given with -m", path)
	}
	f, err := gguf.Open(path)
	if errors.Is(err, gguf.ErrNotGGUF) {
		return nil, fmt.Errorf("%w; give a model in GGUF format with -m", err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkNumbers(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkNumbers refuses what would trip an assertion of ggml's on one of its own threads, where no error can be made of it.
func checkNumbers(f *gguf.File) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%s is damaged: %s; get or convert it again", f.Paths()[0], fmt.Sprintf(format, args...))
	}
	for _, kv := range f.KVs() {
		if !strings.HasSuffix(kv.Key, "_epsilon") {
			continue
		}
		if eps, ok, err := f.Float(kv.Key); err == nil && ok && !(eps >= 0 && eps < 1) {
			return damaged("%s is %v", kv.Key, eps)
		}
	}
	for _, t := range f.Tensors() {
		if strings.HasSuffix(t.Name, "norm.weight") && t.Type.Integer() {
			return damaged("%s has the type %s", t.Name, t.Type)
		}
	}
	return nil
}

// LoadError tells an architecture that this llama.cpp does not have from other failures.
func (s Spec) LoadError(path, arch string, err error) error {
	var e *engine.Error
	if errors.As(err, &e) && e.Code == engine.LoadFailed && strings.Contains(e.Text, "unknown model architecture") {
		return &UnsupportedError{fmt.Sprintf("%s: llama.cpp %s does not know the architecture %q; give a model that it runs", path, s.Engine.Version().Tag, arch)}
	}
	return err
}

// CheckDecoder refuses files whose metadata say that they hold no language model that predicts the next token.
func CheckDecoder(f *gguf.File) error {
	if f.Arch() == "" {
		return &UnsupportedError{fmt.Sprintf("%s has no general.architecture; it is no model that llama.cpp runs", f.Paths()[0])}
	}
	causal, ok, err := f.Bool(f.Arch() + ".attention.causal")
	if err != nil {
		return err
	}
	if ok && !causal {
		return &UnsupportedError{fmt.Sprintf("%s: architecture %s is an encoder (attention.causal is false); only decoder models can be pruned", f.Paths()[0], f.Arch())}
	}
	return nil
}

// Text returns a string of a file's metadata; what is no string counts as absent, for nothing depends on it.
func Text(f *gguf.File, key string) string {
	s, found, err := f.Str(key)
	if err != nil || !found {
		return ""
	}
	return strings.TrimSpace(s)
}

// Array returns an array of a file's metadata; what is no array of T counts as absent.
func Array[T any](f *gguf.File, key string) []T {
	kv, ok := f.KV(key)
	if !ok {
		return nil
	}
	v, err := kv.Value()
	if err != nil {
		return nil
	}
	list, _ := v.([]T)
	return list
}
