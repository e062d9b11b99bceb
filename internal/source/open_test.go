package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/engine/enginetest"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/internal/modelref"
)

const tinyModel = "../../testdata/tiny-11m-Q8_0.gguf"

func tinyHash(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// named is what a name leads to whose file must have a hash.
func named(hash string) *modelref.Ref {
	return &modelref.Ref{Given: "ollama:tiny", Path: tinyModel, SHA256: hash, Again: "ollama pull tiny"}
}

// The file behind a name must be the one that the name stands for, whether it loads or not.
func TestNamedHash(t *testing.T) {
	t.Parallel()
	hash := tinyHash(t)
	s, err := Open(t.Context(), Spec{Engine: enginetest.Runtime{}, Path: tinyModel, Ref: named(hash)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.SHA256(); got != hash || err != nil || s.Spec.Given() != "ollama:tiny" || s.Facts(nil, hash).Ref != "ollama:tiny" {
		t.Errorf("%s, %v, given %q", got, err, s.Spec.Given())
	}
	s.Close()

	broken := errors.New("broken")
	for name, e := range map[string]enginetest.Runtime{"loads": {}, "does not load": {OnLoad: func(string) error { return broken }}} {
		_, err := Open(t.Context(), Spec{Engine: e, Path: tinyModel, Ref: named(strings.Repeat("0", 64))})
		if err == nil || !strings.Contains(err.Error(), "was changed: its SHA-256 is "+hash) || !strings.HasSuffix(err.Error(), "get it again with: ollama pull tiny") {
			t.Errorf("a changed file that %s: %v", name, err)
		}
		// Without a name that says so, no hash is wrong.
		s, err := Open(t.Context(), Spec{Engine: e, Path: tinyModel})
		if err == nil {
			s.Close()
		}
		if (err != nil) != (e.OnLoad != nil) || err != nil && !errors.Is(err, broken) {
			t.Errorf("a path that %s: %v", name, err)
		}
	}
}

// A cancelled loading is a cancelled one, not a file that was changed.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e := enginetest.Runtime{OnLoad: func(string) error {
		cancel()
		return &engine.Error{Code: engine.Cancelled, Op: "load model", Text: "cancelled"}
	}}
	if _, err := Open(ctx, Spec{Engine: e, Path: tinyModel, Ref: named(strings.Repeat("0", 64))}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// encoder is a model of another kind.
type encoder struct{ engine.Model }

func (m encoder) Info() engine.ModelInfo {
	info := m.Model.Info()
	info.HasEncoder = true
	return info
}

// What is no decoder is refused: by its metadata before the loading, else by what the engine says of it.
func TestDecoders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, kvs ...gguftest.KV) string {
		weight := gguftest.Tensor{Name: "token_embd.weight", Dims: []uint64{2, 2}, Data: make([]byte, 16)}
		return gguftest.Write(t, dir, name, gguftest.Model{KVs: kvs, Tensors: []gguftest.Tensor{weight}})
	}
	arch := gguftest.KV{Key: "general.architecture", Value: "test"}
	inVain := enginetest.Runtime{OnLoad: func(string) error { return errors.New("loaded in vain") }}
	for name, c := range map[string]struct {
		e    enginetest.Runtime
		path string
		want string
	}{
		"no architecture":       {inVain, write("none.gguf"), "has no general.architecture"},
		"not causal":            {inVain, write("bert.gguf", arch, gguftest.KV{Key: "test.attention.causal", Value: false}), "architecture test is an encoder"},
		"an encoder when asked": {enginetest.Runtime{Wrap: func(_ string, m engine.Model) engine.Model { return encoder{m} }}, tinyModel, "has an encoder"},
		"an unknown one": {enginetest.Runtime{OnLoad: func(string) error {
			return &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: "unknown model architecture: 'test'"}
		}}, write("new.gguf", arch), `llama.cpp LLAMA does not know the architecture "test"`},
	} {
		_, err := Open(t.Context(), Spec{Engine: c.e, Path: c.path})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A causal one is loaded, and what is no truth value is an error of its own.
	s, err := Open(t.Context(), Spec{Engine: enginetest.Runtime{}, Path: write("causal.gguf", arch, gguftest.KV{Key: "test.attention.causal", Value: true})})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	var unsupported *UnsupportedError
	if _, err := Open(t.Context(), Spec{Engine: inVain, Path: write("odd.gguf", arch, gguftest.KV{Key: "test.attention.causal", Value: "yes"})}); err == nil ||
		errors.As(err, &unsupported) || strings.Contains(err.Error(), "in vain") {
		t.Errorf("attention.causal is a text: %v", err)
	}
}

// GGUF files that hold no model, or one that llama.cpp does not load: what they are is told, and what to do.
func TestNoModels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kv := func(key string, v any) gguftest.KV { return gguftest.KV{Key: key, Value: v} }
	weights := func(names ...string) (out []gguftest.Tensor) {
		for _, n := range names {
			out = append(out, gguftest.Tensor{Name: n, Dims: []uint64{2, 2}, Data: make([]byte, 16)})
		}
		return out
	}
	arch := kv("general.architecture", "test")
	for name, c := range map[string]struct {
		m           gguftest.Model
		fails, want string
	}{
		"lora":     {gguftest.Model{KVs: []gguftest.KV{arch, kv("general.type", "adapter")}, Tensors: weights("blk.0.attn_q.weight.lora_a")}, "", "is an adapter (LoRA)"},
		"old-lora": {gguftest.Model{KVs: []gguftest.KV{arch, kv("adapter.type", "lora")}, Tensors: weights("blk.0.attn_q.weight.lora_a")}, "", "is an adapter (LoRA)"},
		"mmproj":   {gguftest.Model{KVs: []gguftest.KV{kv("general.architecture", "clip"), kv("clip.projector_type", "mlp")}, Tensors: weights("v.blk.0.attn_q.weight")}, "", "is a projector (mmproj)"},
		"imatrix":  {gguftest.Model{KVs: []gguftest.KV{kv("general.type", "imatrix")}, Tensors: weights("a.in_sum2")}, "", "give it with --imatrix"},
		"steer":    {gguftest.Model{KVs: []gguftest.KV{kv("general.architecture", "controlvector")}, Tensors: weights("direction.1")}, "", "is a control vector"},
		"vocab":    {gguftest.Model{KVs: []gguftest.KV{arch}}, "", "is a vocabulary without weights"},
		"fused": {
			gguftest.Model{KVs: []gguftest.KV{arch}, Tensors: weights("token_embd.weight", "v.blk.0.attn_q.weight", "mm.0.weight")},
			"done_getting_tensors: wrong number of tensors; expected 3, got 1", "is a multimodal model in the form of Ollama's own engine",
		},
	} {
		path := gguftest.Write(t, dir, name+".gguf", c.m)
		e := enginetest.Runtime{OnLoad: func(string) error {
			if c.fails == "" {
				return errors.New("loaded in vain")
			}
			return &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: c.fails}
		}}
		_, err := Open(t.Context(), Spec{Engine: e, Path: path})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = Open(t.Context(), Spec{Engine: e, Path: path, Ref: &modelref.Ref{Given: "ollama:seer", Path: path}})
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "ollama:seer") {
			t.Errorf("%s by a name: %v", name, err)
		}
	}
	// Whatever else llama.cpp says, the file is named.
	plain := gguftest.Write(t, dir, "plain.gguf", gguftest.Model{KVs: []gguftest.KV{arch}, Tensors: weights("token_embd.weight")})
	e := enginetest.Runtime{OnLoad: func(string) error {
		return &engine.Error{Code: engine.LoadFailed, Op: "load model", Text: "wrong number of tensors; expected 3, got 1"}
	}}
	var of *engine.Error
	if _, err := Open(t.Context(), Spec{Engine: e, Path: plain}); !errors.As(err, &of) || !strings.HasPrefix(err.Error(), plain+": load model: ") {
		t.Errorf("%v", err)
	}
}

// Any file of a split model leads to its first, which llama.cpp wants.
func TestSplit(t *testing.T) {
	t.Parallel()
	paths := gguftest.WriteSplit(t, t.TempDir(), "m", gguftest.Llama(2, 1), 3)
	for _, path := range paths {
		var loaded string
		e := enginetest.Runtime{OnLoad: func(path string) error {
			loaded = path
			return nil
		}}
		s, err := Open(t.Context(), Spec{Engine: e, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if loaded != paths[0] || len(s.Spec.Files()) != 3 || s.Spec.Path != path {
			t.Errorf("%s: %s was loaded, files %v", path, loaded, s.Spec.Files())
		}
	}
}

// Errors about files have a next step.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.gguf")
	if err := os.WriteFile(text, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "no.gguf"): "does not exist; check the path given with -m", text: "give a model in GGUF format with -m"} {
		if _, err := OpenFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	ref := named("")
	if _, err := Open(t.Context(), Spec{Engine: enginetest.Runtime{}, Path: text, Ref: ref}); err == nil || !strings.Contains(err.Error(), "model ollama:tiny: ") ||
		!strings.HasSuffix(err.Error(), "get it again with: ollama pull tiny") {
		t.Errorf("a name of no model: %v", err)
	}
}

// loads counts models that are loaded and not closed, and remembers how the last one was loaded.
type loads struct {
	enginetest.Runtime
	open *int
	last *engine.ModelParams
}

type counted struct {
	engine.Model
	open *int
}

func (m counted) Close() {
	*m.open--
	m.Model.Close()
}

func (l loads) Load(ctx context.Context, path string, p engine.ModelParams) (engine.Model, error) {
	m, err := l.Runtime.Load(ctx, path, p)
	if err != nil {
		return nil, err
	}
	*l.open++
	*l.last = p
	return counted{m, l.open}, nil
}

// At most one model is loaded at a time, and none is left.
func TestOneModel(t *testing.T) {
	t.Parallel()
	l := loads{open: new(int), last: new(engine.ModelParams)}
	s, err := Open(t.Context(), Spec{Engine: l, Path: tinyModel})
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(context.Context) error{
		"reload": s.Reload, "unmap": s.Unmap, "plain": s.LoadPlain,
		"as": func(ctx context.Context) error { return s.LoadAs(ctx, tinyModel, nil) },
	} {
		if err := do(t.Context()); err != nil || *l.open != 1 || s.Model == nil {
			t.Errorf("%s: %d models are loaded, %v", name, *l.open, err)
		}
	}
	if !l.last.NoMmap || !s.Spec.Model.NoMmap {
		t.Error("the model is mapped again after Unmap")
	}
	s.CloseModel()
	s.CloseModel()
	if *l.open != 0 || s.Model != nil {
		t.Errorf("%d models are loaded", *l.open)
	}
	if err := s.Reload(t.Context()); err != nil || *l.open != 1 {
		t.Errorf("%d models are loaded, %v", *l.open, err)
	}
	s.Close()
	if *l.open != 0 {
		t.Errorf("%d models are loaded after Close", *l.open)
	}
}

// A model's context is at most its own where the user gives none.
func TestDefaultContext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, trained, want int }{{0, 4096, 512}, {0, 256, 256}, {0, 0, 512}, {1024, 256, 1024}} {
		if got := DefaultContext(c.given, engine.ModelInfo{NCtxTrain: c.trained}); got != c.want {
			t.Errorf("given %d, trained on %d: %d", c.given, c.trained, got)
		}
	}
}
