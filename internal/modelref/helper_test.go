package modelref

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// places returns places in an empty home, with the environment of vars.
func places(t testing.TB, vars map[string]string) Places {
	t.Helper()
	return Places{Getenv: func(k string) string { return vars[k] }, Home: t.TempDir(), GOOS: "linux"}
}

// put writes a file and the folders that it needs.
func put(t testing.TB, text string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// part is one layer of a model for the store.
type part struct{ kind, text string }

// putModel puts a model into an Ollama store and returns its manifest's path.
func putModel(t testing.TB, store, name string, parts ...part) string {
	t.Helper()
	var m manifest
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p.text))
		digest := hex.EncodeToString(sum[:])
		put(t, p.text, store, "blobs", "sha256-"+digest)
		l := layer{MediaType: mediaPrefix + p.kind, Digest: "sha256:" + digest, Size: int64(len(p.text))}
		if p.kind == "config" {
			m.Config = l
			continue
		}
		m.Layers = append(m.Layers, l)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return put(t, string(text), store, "manifests", filepath.FromSlash(name))
}

// says fails unless err is one line that holds all of want.
func says(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
