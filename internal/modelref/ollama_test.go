package modelref

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var whole = []part{
	{"config", `{"model_format":"gguf","renderer":"qwen3-coder","parser":"qwen3-coder"}`},
	{"model", "GGUF weights"},
	{"template", "{{ .Prompt }}!"},
	{"params", `{"stop":["<|end|>","</s>"],"temperature":0.6,"num_ctx":4096}`},
	{"system", "Be brief."},
	{"license", "MIT"},
	{"license", "and Apache"},
	{"messages", `[{"role":"user","content":"hi"}]`},
	{"projector", "GGUF images"},
}

func TestOllamaLayers(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	store := filepath.Join(p.Home, ".ollama", "models")
	putModel(t, store, "registry.ollama.ai/library/llama3.2/3b", whole...)
	ref, err := p.Find("ollama:llama3.2:3b")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(ref.Path); err != nil || string(text) != "GGUF weights" {
		t.Errorf("path %s: %q, %v", ref.Path, text, err)
	}
	if "sha256-"+ref.SHA256 != filepath.Base(ref.Path) || ref.Name != "llama3.2" || ref.Again != "ollama pull llama3.2:3b" {
		t.Errorf("ref %+v", ref)
	}
	if len(ref.Ollama.Projectors) != 1 {
		t.Fatalf("projectors %v", ref.Ollama.Projectors)
	}
	ref.Ollama.Projectors = nil
	want := &Ollama{
		Name: "llama3.2:3b", Template: "{{ .Prompt }}!", System: "Be brief.", Licenses: []string{"MIT", "and Apache"},
		Parameters: map[string]any{"stop": []any{"<|end|>", "</s>"}, "temperature": json.Number("0.6"), "num_ctx": json.Number("4096")},
		Messages:   []OllamaMessage{{"user", "hi"}}, Renderer: "qwen3-coder", Parser: "qwen3-coder",
	}
	if d := cmp.Diff(want, ref.Ollama); d != "" {
		t.Error(d)
	}
}

// What a name leaves out is filled in, upper and lower case are the same, and OLLAMA_MODELS is the only store if it is set.
func TestOllamaNames(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	p := places(t, map[string]string{"OLLAMA_MODELS": elsewhere})
	model := part{"model", "GGUF"}
	for _, name := range []string{
		"registry.ollama.ai/library/qwen/latest", "registry.ollama.ai/me/own/q8", "hf.co/bartowski/Llama-GGUF/Q4_K_M", "host:5000/a/b/c",
	} {
		putModel(t, elsewhere, name, model)
	}
	putModel(t, filepath.Join(p.Home, ".ollama", "models"), "registry.ollama.ai/library/home/latest", model)
	for name, short := range map[string]string{
		"qwen": "qwen:latest", "QWEN:Latest": "QWEN:Latest", "library/qwen": "qwen:latest", "registry.ollama.ai/library/qwen:latest": "qwen:latest",
		"me/own:q8": "me/own:q8", "hf.co/bartowski/llama-gguf:q4_k_m": "hf.co/bartowski/llama-gguf:q4_k_m", "host:5000/a/b:c": "host:5000/a/b:c",
	} {
		ref, err := p.Find("ollama:" + name)
		if err != nil || ref.Ollama.Name != short {
			t.Errorf("%s: %+v, %v", name, ref, err)
		}
	}
	_, err := p.Find("ollama:home")
	says(t, err, "ollama:home is not on this machine", "looked in "+elsewhere, "ollama pull home:latest")
	_, err = p.Find("ollama:qwen:7b")
	says(t, err, "there is ollama:qwen:latest", "ollama pull qwen:7b")
	for _, bad := range []string{"", ":", "a b", "../x", "a/../../b", "x:", "/x"} {
		_, err := p.Find("ollama:" + bad)
		says(t, err, "is no name of an Ollama model")
	}
	_, err = places(t, nil).Find("ollama:home")
	says(t, err, "set OLLAMA_MODELS")
}

// Old versions of Ollama named blobs with a colon, and later ones rename them when they start: a store that none has started on
// since is read as it is, the small layers too.
func TestOllamaOldBlobs(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	store := filepath.Join(p.Home, ".ollama", "models")
	putModel(t, store, "registry.ollama.ai/library/m/latest", whole...)
	for _, l := range whole {
		blob := blobOf(t, store, l.text)
		if err := os.Rename(blob, strings.Replace(blob, "sha256-", "sha256:", 1)); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := p.Find("ollama:m")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(ref.Path); err != nil || string(text) != "GGUF weights" || ref.Ollama.Template != "{{ .Prompt }}!" {
		t.Errorf("%+v: %q, %v", ref, text, err)
	}
}

// OLLAMA_MODELS is read as Ollama reads it, without blanks and quotes around it. A folder that is not there is named.
func TestOllamaModels(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	putModel(t, store, "registry.ollama.ai/library/m/latest", part{"model", "GGUF"})
	for _, value := range []string{store, store + "/", `"` + store + `"`, " '" + store + "' "} {
		if _, err := places(t, map[string]string{"OLLAMA_MODELS": value}).Find("ollama:m"); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
	_, err := places(t, map[string]string{"OLLAMA_MODELS": store + "/none"}).Find("ollama:m")
	says(t, err, "correct OLLAMA_MODELS: it is "+store+"/none, which is no folder")
}

// A store that somebody has damaged: each case with what is said of it.
func TestOllamaDamaged(t *testing.T) {
	t.Parallel()
	const name = "registry.ollama.ai/library/m/latest"
	for _, tt := range []struct {
		what   string
		damage func(t *testing.T, store, manifest string)
		want   string
	}{
		{"no JSON", func(t *testing.T, _, m string) { put(t, "{", m) }, "manifest "},
		{"no layers", func(t *testing.T, _, m string) { put(t, "{}", m) }, "lists no GGUF model"},
		{"a digest that leads elsewhere", func(t *testing.T, _, m string) {
			put(t, `{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../etc/passwd"}]}`, m)
		}, "has the digest"},
		{"no blob", func(t *testing.T, store, _ string) { remove(t, store, "GGUF weights") }, "is missing"},
		{"a short blob", func(t *testing.T, store, _ string) { put(t, "GGUF", blobOf(t, store, "GGUF weights")) }, "has 4 bytes, and its manifest says 12"},
		{"another template", func(t *testing.T, store, _ string) { put(t, "{{ .Prompt }}?", blobOf(t, store, "{{ .Prompt }}!")) }, "it was changed"},
		{"another configuration", func(t *testing.T, store, _ string) { put(t, "{}", blobOf(t, store, whole[0].text)) }, "it was changed"},
		{"a folder for a manifest", func(t *testing.T, _, m string) { remove(t, m, ""); put(t, "", m, "x") }, "cannot be read"},
	} {
		p := places(t, nil)
		store := filepath.Join(p.Home, ".ollama", "models")
		tt.damage(t, store, putModel(t, store, name, whole...))
		_, err := p.Find("ollama:m")
		t.Log(tt.what, err)
		says(t, err, "model ollama:m:latest", tt.want, "ollama pull m:latest")
	}
}

// What cannot be pruned says why.
func TestOllamaUnfit(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"adapter": "LoRA adapter", "tensor": "single tensors", "model": "several model files"} {
		p := places(t, nil)
		putModel(t, filepath.Join(p.Home, ".ollama", "models"), "registry.ollama.ai/library/m/latest", part{"model", "GGUF"}, part{kind, "other"})
		_, err := p.Find("ollama:m")
		says(t, err, want)
	}
}

// A cloud model is a reference: no advice to pull what has no weights, whether it is in the store or not.
func TestOllamaCloud(t *testing.T) {
	t.Parallel()
	p := places(t, nil)
	putModel(t, filepath.Join(p.Home, ".ollama", "models"), "registry.ollama.ai/library/big/120b-cloud",
		part{"config", `{"model_format":"","remote_host":"https://ollama.com:443","remote_model":"big:120b"}`})
	for name, want := range map[string]string{"big:120b-cloud": "runs on https://ollama.com:443", "other:cloud": "is not on this machine"} {
		_, err := p.Find("ollama:" + name)
		says(t, err, "model ollama:"+name, want, "a cloud model has no weights that could be pulled; name one that runs on this machine")
		if err != nil && strings.Contains(err.Error(), "ollama pull") {
			t.Error(err)
		}
	}
}

// blobOf returns the path of the blob that holds text.
func blobOf(t *testing.T, store, text string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(store, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if got, err := os.ReadFile(p); err == nil && string(got) == text {
			return p
		}
	}
	t.Fatalf("no blob with %q", text)
	return ""
}

// remove removes the file at path, or the blob that holds text.
func remove(t *testing.T, path, text string) {
	t.Helper()
	if text != "" {
		path = blobOf(t, path, text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A path is a path, whatever is there, and a file with a colon in its name is given as ./ollama:x.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"model.gguf", "./ollama:x", "/no/such", "C:x"} {
		if ref, err := places(t, nil).Find(path); err != nil || ref.Path != path || ref.Given != "" || strings.Contains(ref.Again, " ") {
			t.Errorf("%s: %+v, %v", path, ref, err)
		}
	}
}
