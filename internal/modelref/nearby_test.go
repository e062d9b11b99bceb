package modelref

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// split returns the names of the near ones and of the others, sorted.
func split(all []Neighbour) (near, far string) {
	var names [2][]string
	for _, n := range all {
		i := 1
		if n.Near {
			i = 0
		}
		names[i] = append(names[i], n.Name)
	}
	slices.Sort(names[0])
	slices.Sort(names[1])
	return strings.Join(names[0], " "), strings.Join(names[1], " ")
}

// What is beside a model, in its repository or under its name in Ollama is near, what else the stores have is far, and what is
// no whole model is not listed.
func TestNearby(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	p := places(t, map[string]string{"OLLAMA_MODELS": store})
	hub := filepath.Join(p.Home, ".cache", "huggingface", "hub")
	mine := filepath.Join(hub, "models--me--Tiny-GGUF", "snapshots", strings.Repeat("a", 40))
	older := filepath.Join(hub, "models--me--Tiny-GGUF", "snapshots", strings.Repeat("b", 40))
	source := put(t, "1", mine, "tiny-Q8_0.gguf")
	for _, name := range []string{"tiny-Q4_0.gguf", "mmproj-F16.gguf", "README.md", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf"} {
		put(t, "1", mine, name)
	}
	put(t, "1", mine, "Q3_K_M", "tiny-Q3_K_M.gguf")
	put(t, "1", older, "tiny-Q2_K.gguf")
	put(t, "1", hub, "models--you--Tiny-GGUF", "snapshots", strings.Repeat("c", 40), "other-Q4_0.gguf")
	put(t, "1", hub, "datasets--you--x", "snapshots", strings.Repeat("c", 40), "data.gguf")
	put(t, "1", p.Home, ".cache", "llama.cpp", "you_Tiny_flat.gguf")
	put(t, "1", p.Home, ".lmstudio", "models", "you", "Tiny-GGUF", "studio.gguf")
	if err := os.Symlink("gone", filepath.Join(mine, "gone-Q4_0.gguf")); err != nil {
		t.Fatal(err)
	}
	putModel(t, store, "registry.ollama.ai/library/tiny/q4", part{"model", "4"})
	weights := putModel(t, store, "registry.ollama.ai/library/tiny/q8", part{"model", "8"}, part{"license", "MIT"})
	putModel(t, store, "registry.ollama.ai/library/other/q8", part{"model", "9"})
	putModel(t, store, "registry.ollama.ai/library/tiny/lora", part{"model", "4"}, part{"adapter", "l"})
	putModel(t, store, "registry.ollama.ai/library/tiny/two", part{"model", "4"}, part{"model", "8"})
	put(t, "{damaged", store, "manifests", "registry.ollama.ai/library/tiny/bad")

	all := p.Nearby(source)
	near, far := split(all)
	// Those of the snapshot's own folder come twice.
	wantNear := "big-00001-of-00002.gguf big-00001-of-00002.gguf tiny-Q2_K.gguf tiny-Q3_K_M.gguf tiny-Q4_0.gguf tiny-Q4_0.gguf tiny-Q8_0.gguf tiny-Q8_0.gguf"
	if wantFar := "lmstudio:you/Tiny-GGUF/studio.gguf ollama:other:q8 ollama:tiny:q4 ollama:tiny:q8 other-Q4_0.gguf you_Tiny_flat.gguf"; near != wantNear || far != wantFar {
		t.Errorf("near %s\nfar %s", near, far)
	}
	if !slices.IsSortedFunc(all, func(a, b Neighbour) int {
		if a.Near || !b.Near {
			return 0
		}
		return 1
	}) {
		t.Errorf("a far one is before a near one: %+v", all)
	}

	// From Ollama: the tags of the same model are near.
	blob := weightsOf(store, weights)
	if near, far = split(p.Nearby(blob)); near != "ollama:tiny:q4 ollama:tiny:q8" || !strings.Contains(far, "ollama:other:q8") {
		t.Errorf("of Ollama's: near %s\nfar %s", near, far)
	}
	if near, far = split(places(t, map[string]string{"OLLAMA_MODELS": t.TempDir()}).Nearby(filepath.Join(t.TempDir(), "x.gguf"))); near != "" || far != "" {
		t.Errorf("of an empty home: near %s\nfar %s", near, far)
	}
}
