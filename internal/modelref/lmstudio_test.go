package modelref

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

func TestLMStudio(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	folder := filepath.Join(p.Home, ".lmstudio", "models")
	one := put(t, "", folder, "lmstudio-community", "Qwen2.5-GGUF", "qwen-Q4_K_M.gguf")
	put(t, "", folder, "lmstudio-community", "Qwen2.5-GGUF", "mmproj-F16.gguf")
	q4 := put(t, "", folder, "bartowski", "Llama-GGUF", "llama-Q4_K_M.gguf")
	q8 := put(t, "", folder, "bartowski", "Llama-GGUF", "llama-Q8_0.gguf")
	old := put(t, "", p.Home, ".cache", "lm-studio", "models", "TheBloke", "Old", "old.gguf")
	split := put(t, "", folder, "x", "Split", "s-00001-of-00002.gguf")
	put(t, "", folder, "x", "Split", "s-00002-of-00002.gguf")
	for name, want := range map[string]string{
		"lmstudio-community/Qwen2.5-GGUF": one, "lmstudio-community/qwen2.5": one, "qwen2.5-gguf": one,
		"bartowski/llama@q8_0": q8, "Llama-GGUF@Q4_K_M": q4, "bartowski/Llama-GGUF/llama-Q8_0.gguf": q8, "bartowski/llama-gguf/LLAMA-q4_k_m.gguf": q4, "TheBloke/Old": old, "x/split": split,
	} {
		if ref, err := p.Find("lmstudio:" + name); err != nil || ref.Path != want {
			t.Errorf("%s: %+v, %v", name, ref, err)
		}
	}
	_, err := p.Find("lmstudio:bartowski/Llama-GGUF")
	says(t, err, "may be 2 models", "lmstudio:bartowski/Llama-GGUF/llama-Q4_K_M.gguf, lmstudio:bartowski/Llama-GGUF/llama-Q8_0.gguf")
	_, err = p.Find("lmstudio:bartowski/llama@k_m") // a part of a quant
	says(t, err, "is not on this machine")
	_, err = p.Find("lmstudio:bartowski/llama@")
	says(t, err, "names no quant behind the @")
	_, err = p.Find("lmstudio:a/none")
	says(t, err, "looked in "+folder, "lms get a/none")
	for _, bad := range []string{"", "a/", "a/../b", "a/b/c/d"} {
		_, err := p.Find("lmstudio:" + bad)
		says(t, err, "is no name of a model in LM Studio")
	}
}

// LM Studio's folders can be elsewhere: a file in the user's home names its home, and its settings name the models' folder.
func TestLMStudioMoved(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	home, models := t.TempDir(), t.TempDir()
	put(t, home+"\n", p.Home, ".lmstudio-home-pointer")
	settings, err := json.Marshal(map[string]string{"downloadsFolder": models})
	if err != nil {
		t.Fatal(err)
	}
	put(t, string(settings), home, "settings.json")
	a, b := put(t, "", models, "p", "A", "a.gguf"), put(t, "", home, "models", "p", "B", "b.gguf")
	for name, want := range map[string]string{"p/a": a, "b": b} {
		if ref, err := p.Find("lmstudio:" + name); err != nil || ref.Path != want {
			t.Errorf("%s: %+v, %v", name, ref, err)
		}
	}
}
