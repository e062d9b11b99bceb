package modelref

import (
	"path/filepath"
	"slices"
	"testing"
)

// Names are listed as -m takes them: short, sorted, each once.
func TestNames(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	p := places(t, map[string]string{"OLLAMA_MODELS": store, "HF_HUB_CACHE": filepath.Join(store, "hub")})
	if got := p.Names(); len(got) > 0 {
		t.Errorf("of nothing: %q", got)
	}
	putModel(t, store, "registry.ollama.ai/library/tiny/11m", part{"model", "x"})
	putModel(t, store, "registry.ollama.ai/someone/tiny/latest", part{"model", "x"})
	put(t, "not a manifest", store, "manifests", "stray")
	put(t, "x", p.Home, ".lmstudio", "models", "pub", "tiny-GGUF", "tiny-Q8_0.gguf")
	put(t, "x", p.Home, ".lmstudio", "models", "pub", "tiny-GGUF", "tiny-F16.gguf")
	got := p.Names()
	if want := []string{"lmstudio:pub/tiny-GGUF", "ollama:someone/tiny:latest", "ollama:tiny:11m"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, name := range got[1:] {
		if _, err := p.Find(name); err != nil {
			t.Errorf("%s is listed and not found: %v", name, err)
		}
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	hub := t.TempDir()
	p := places(t, map[string]string{"HF_HUB_CACHE": hub})
	for _, dir := range []string{"models--ggml-org--gemma-3-1b-it-GGUF", "datasets--a--b", "models--broken"} {
		put(t, "x", hub, dir, "file")
	}
	if got := p.Repositories(); !slices.Equal(got, []string{"ggml-org/gemma-3-1b-it-GGUF"}) {
		t.Errorf("%q", got)
	}
}
