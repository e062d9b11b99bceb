package modelref

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/internal/fuzztest"
)

// isBelow fails t unless path leads to a regular file somewhere below dir, by its name alone.
func isBelow(t *testing.T, dir, path string) {
	t.Helper()
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) || !isFile(path) {
		t.Errorf("%s was found, which is no file below %s: %v", path, dir, err)
	}
}

// FuzzOllama reads any manifest of a store. @1 and @2 in it stand for the digests of two texts that the store has as blobs.
func FuzzOllama(f *testing.F) {
	layer := func(kind, blob string, size int) string {
		return fmt.Sprintf(`{"mediaType":"%s%s","digest":"%s","size":%d}`, mediaPrefix, kind, blob, size)
	}
	manifestOf := func(layers ...string) string { return `{"config":{},"layers":[` + strings.Join(layers, ",") + `]}` }
	for _, kind := range []string{"template", "system", "license", "params", "messages", "projector", "adapter", "tensor", "model", "other"} {
		text := map[string]string{"params": `{"stop":["a"],"num_ctx":1e999}`, "messages": `[{"role":"user","content":"a"},null]`}[kind]
		f.Add(manifestOf(layer("model", "@1", 4), layer(kind, "@2", len(text))), "GGUF", text)
	}
	f.Add(`{"config":`+layer("", "@2", 0)+`,"layers":[`+layer("model", "@1", 4)+`]}`, "GGUF", `{"renderer":"r","parser":"p"}`)
	f.Add(`{"config":`+layer("", "@2", 0)+`,"layers":[]}`, "GGUF", `{"remote_host":"https://ollama.com:443"}`)
	f.Add(`{"config":null,"layers":null}`, "", "")
	f.Add(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../../etc/passwd"}]}`, "", "")
	f.Add(strings.Repeat("[", 11000), "", "")
	store := filepath.Join(f.TempDir(), "models")
	p := Places{Getenv: func(k string) string { return map[string]string{"OLLAMA_MODELS": store}[k] }, Home: f.TempDir(), GOOS: "linux"}
	blobs, path := filepath.Join(store, "blobs"), put(f, "", store, "manifests", "registry.ollama.ai", "library", "m", "latest")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, manifest, one, two string) {
		for i, text := range []string{one, two} {
			sum := sha256.Sum256([]byte(text))
			digest := hex.EncodeToString(sum[:])
			blob := put(t, text, blobs, "sha256-"+digest)
			defer os.Remove(blob)
			manifest = strings.ReplaceAll(manifest, fmt.Sprint("@", i+1), "sha256:"+digest)
		}
		if err := os.WriteFile(path, []byte(manifest), 0o644); err != nil {
			t.Fatal(err)
		}
		fuzztest.Bounded(t, len(manifest)+len(one)+len(two), func() {
			if names := p.Names(); len(names) != 1 || names[0] != "ollama:m:latest" {
				t.Errorf("the store has %q", names)
			}
			near := p.Nearby(filepath.Join(store, "x.gguf"))
			for _, n := range near {
				isBelow(t, blobs, n.Path)
			}
			ref, err := p.Find("ollama:m")
			if err != nil {
				fuzztest.OneLine(t, err, 6*len(manifest)+3*len(store))
				return
			}
			isBelow(t, blobs, ref.Path)
			for _, path := range ref.Ollama.Projectors {
				isBelow(t, blobs, path)
			}
			if got, err := os.ReadFile(ref.Path); err != nil || fmt.Sprintf("%x", sha256.Sum256(got)) != ref.SHA256 {
				t.Errorf("%s does not have the hash %s: %v", ref.Path, ref.SHA256, err)
			}
			if len(near) != 1 || near[0].Path != ref.Path {
				t.Errorf("the model is %s, its neighbours are %v", ref.Path, near)
			}
		})
	})
}

// A manifest that names one text two hundred times is no reason to keep it as often.
func TestManyTexts(t *testing.T) {
	home := t.TempDir()
	store := filepath.Join(home, "models")
	licence := part{"license", strings.Repeat("All rights reserved. ", 20000)}
	parts := []part{{"model", "GGUF"}}
	for range 200 {
		parts = append(parts, licence)
	}
	putModel(t, store, "registry.ollama.ai/library/m/latest", parts...)
	putModel(t, store, "registry.ollama.ai/library/few/latest", parts[:5]...)
	p := Places{Getenv: func(k string) string { return map[string]string{"OLLAMA_MODELS": store}[k] }, Home: home, GOOS: "linux"}
	fuzztest.Bounded(t, len(licence.text)+200<<10, func() {
		_, err := p.Find("ollama:m")
		says(t, err, "model ollama:m:latest: its licences and other texts are larger than 2 MiB; get it again with: ollama pull m:latest")
	})
	if ref, err := p.Find("ollama:few"); err != nil || len(ref.Ollama.Licenses) != 4 {
		t.Errorf("four licences: %+v, %v", ref, err)
	}
}

// FuzzHub looks for a model in a hub's cache with any ref, any snapshot and any file, by any name.
func FuzzHub(f *testing.F) {
	f.Add("a/b:Q8_0", "", commitA, commitA, "m-Q8_0.gguf")
	f.Add("a/b", "d/m.gguf", commitA+"\nmore", commitA, "d/m.gguf")
	f.Add("a/b", "", commitB, commitA, "m-00001-of-00002.gguf")
	f.Add("a/b:(?i)[", "", "../../../../etc", "main", "m.gguf")
	f.Add("A/b.c-d:F16", "x", strings.Repeat("a", 1000), commitA, "BF16-mmproj.gguf")
	f.Add("../..:\x00", "../m.gguf", "", "", "a\nb\xff-Q4_K_M.gguf")
	home := f.TempDir()
	p := Places{Getenv: func(string) string { return "" }, Home: home, GOOS: "linux"}
	hub, flat := filepath.Join(home, ".cache", "huggingface", "hub"), filepath.Join(home, ".cache", "llama.cpp")
	f.Fuzz(func(t *testing.T, name, file, ref, commit, model string) {
		defer os.RemoveAll(filepath.Join(home, ".cache"))
		repo, _, _ := strings.Cut(name, ":")
		if !validRepo(repo) {
			repo = "a/b"
		}
		dir := filepath.Join(hub, "models--"+strings.ReplaceAll(repo, "/", "--"))
		put(t, ref, dir, "refs", "main")
		for _, path := range []string{
			filepath.Join(dir, "snapshots", commit, model),
			filepath.Join(flat, strings.ReplaceAll(repo, "/", "_")+"_"+strings.ReplaceAll(model, "/", "_")),
		} {
			if rel, err := filepath.Rel(home, path); err != nil || !filepath.IsLocal(rel) || filepath.Dir(path) == dir {
				continue // no name of a file in a cache
			}
			if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
				_ = os.WriteFile(path, nil, 0o644) // or there is none
			}
		}
		fuzztest.Bounded(t, len(name)+len(file)+len(ref)+len(commit)+len(model), func() {
			for _, r := range p.Repositories() {
				if !validRepo(r) {
					t.Errorf("the cache has a repository %q", r)
				}
			}
			for _, n := range p.Nearby(filepath.Join(dir, "snapshots", commitA, "x.gguf")) {
				isBelow(t, home, n.Path)
			}
			found, err := p.FindHF(name, file)
			if err != nil {
				if len(name)+len(file)+len(model) < 100 && !strings.ContainsAny(name+file+model+home, "\r\n") {
					fuzztest.OneLine(t, err, 1000)
				}
				return
			}
			isBelow(t, home, found.Path)
			if !strings.HasSuffix(found.Path, ".gguf") && file == "" {
				t.Errorf("%s is no model", found.Path)
			}
		})
	})
}

// FuzzLMStudio looks for a model by any name, with any settings.
func FuzzLMStudio(f *testing.F) {
	f.Add("p/m", "~", `{"downloadsFolder":"@"}`, "p/m/f-Q8_0.gguf")
	f.Add("m@q8_0", "", `{"downloadsFolder":7}`, "p/m-GGUF/f-Q8_0.gguf")
	f.Add("m@", " @ \n", `{`, "p/m/f.gguf")
	f.Add("p/m/f.gguf", "@/x", `null`, "p/m/mmproj.gguf")
	f.Add("../m", "\x00", `[]`, "p/m/f.gguf")
	home := f.TempDir()
	p := Places{Getenv: func(string) string { return "" }, Home: home, GOOS: "linux"}
	pointed, folder := filepath.Join(home, "pointed"), filepath.Join(home, ".lmstudio", "models")
	f.Fuzz(func(t *testing.T, name, pointer, settings, model string) {
		defer func() {
			os.RemoveAll(pointed)
			os.RemoveAll(folder)
		}()
		put(t, strings.ReplaceAll(pointer, "@", pointed), home, ".lmstudio-home-pointer")
		put(t, strings.ReplaceAll(settings, "@", pointed), home, ".lmstudio", "settings.json")
		if filepath.IsLocal(model) {
			for _, dir := range []string{folder, pointed} {
				if os.MkdirAll(filepath.Dir(filepath.Join(dir, model)), 0o755) == nil {
					_ = os.WriteFile(filepath.Join(dir, model), nil, 0o644) // or there is none
				}
			}
		}
		fuzztest.Bounded(t, len(name)+len(pointer)+len(settings)+len(model), func() {
			p.Names()
			ref, err := p.Find(lmStudioPrefix + name)
			if err != nil {
				if len(name)+len(model) < 100 && !strings.ContainsAny(name+model+home, "\r\n") {
					fuzztest.OneLine(t, err, 1000)
				}
				return
			}
			isBelow(t, home, ref.Path)
		})
	})
}

// FuzzFind looks for a model by any name where nothing is.
func FuzzFind(f *testing.F) {
	for _, name := range []string{
		"m.gguf", "ollama:", "ollama:llama3.2:3b", "ollama:h/n/m:t@sha256:x", "ollama:../../x", "ollama:m:cloud", "lmstudio:", "lmstudio:a/b/c/d", "user/repo:Q8_0", ":", "",
	} {
		f.Add(name, "")
	}
	store := put(f, "", f.TempDir(), "manifests", "registry.ollama.ai", "library", "m", "latest")
	store = strings.TrimSuffix(store, "/manifests/registry.ollama.ai/library/m/latest")
	p := Places{Getenv: func(k string) string { return map[string]string{"OLLAMA_MODELS": store}[k] }, Home: f.TempDir(), GOOS: "linux"}
	f.Fuzz(func(t *testing.T, name, file string) {
		fuzztest.Bounded(t, len(name)+len(file), func() {
			ref, err := p.Find(name)
			if err == nil && (ref.Path != name || ref.Given != "") {
				t.Errorf("%q was found: %+v", name, ref)
			}
			if err != nil && !strings.ContainsAny(name, "\r\n") {
				fuzztest.OneLine(t, err, 4*len(name)+len(store))
			}
			if _, err = p.FindHF(name, file); err == nil || !strings.ContainsAny(name+file, "\r\n") {
				fuzztest.OneLine(t, err, 4*len(name)+4*len(file)+len(store))
			}
		})
	})
}
