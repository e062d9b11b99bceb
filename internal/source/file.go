package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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

// LoadError names the file, at path, that could not be loaded, and tells what llama.cpp does not know from what is damaged. f is its
// header.
func (s Spec) LoadError(path string, f *gguf.File, err error) error {
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.LoadFailed && e.Code != engine.OOM {
		return err
	}
	if path == s.Path && s.Given() != "" {
		path = s.Given() + " (" + path + ")"
	}
	switch {
	case strings.Contains(e.Text, "unknown model architecture"):
		return &UnsupportedError{fmt.Sprintf("%s: llama.cpp %s does not know the architecture %q; give a model that it runs", path, s.Engine.Version().Tag, f.Arch())}
	case strings.Contains(e.Text, "wrong number of tensors") && isFused(f):
		return &UnsupportedError{fmt.Sprintf("%s is a multimodal model in the form of Ollama's own engine: the tensors of its image or sound encoder are in the "+
			"language model's file, which llama.cpp does not load; take one whose encoder is a file of its own (mmproj), such as from Hugging Face with -hf", path)}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// isFused reports whether the file has tensors of an encoder, by the names that llama.cpp's projectors give them, beside a language
// model's.
func isFused(f *gguf.File) bool {
	return slices.ContainsFunc(f.Tensors(), func(t gguf.Tensor) bool {
		first, _, _ := strings.Cut(t.Name, ".")
		return slices.Contains([]string{"v", "mm", "a"}, first)
	})
}

// notModel says what a file is that holds no language model, and what to do; "" for what may be one.
func notModel(f *gguf.File) string {
	_, adapter := f.KV("adapter.type")
	switch typ := Text(f, "general.type"); {
	case typ == "adapter" || adapter:
		return "an adapter (LoRA), which changes another model; merge it into that first (llama-export-lora)"
	case typ == "mmproj" || f.Arch() == "clip":
		return "a projector (mmproj), the image or sound encoder of a multimodal model; give the file of its language model"
	case typ == "imatrix":
		return "an importance matrix; give it with --imatrix, beside its model"
	case f.Arch() == "controlvector":
		return "a control vector, which changes another model while it runs; give that model"
	case f.Arch() != "" && len(f.Tensors()) == 0:
		return "a vocabulary without weights: it has no tensors; give the whole model"
	}
	return ""
}

// CheckDecoder refuses files whose metadata say that they hold no language model that predicts the next token.
func CheckDecoder(f *gguf.File) error {
	if what := notModel(f); what != "" {
		return &UnsupportedError{fmt.Sprintf("%s is %s", f.Paths()[0], what)}
	}
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
