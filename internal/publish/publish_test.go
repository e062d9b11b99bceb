package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/modelref"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/progress/progresstest"
)

// fromOllama is a model from Ollama's store.
func fromOllama() *modelref.Ref {
	return &modelref.Ref{Given: "ollama:tiny", Ollama: &modelref.Ollama{Name: "tiny:latest", Template: "{{ .Prompt }}", System: "Be brief."}}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The Modelfile of a model from Ollama lies beside the file, and has what Ollama keeps with its parent.
func TestModelfile(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "small.gguf")
	q := Request{Ref: fromOllama(), Output: out}
	p := q.Publish(t.Context(), gguf.Written{Path: out}, new(progresstest.Listener))
	if p == nil || p.Err != nil || p.Name != "" || p.Modelfile != filepath.Join(filepath.Dir(out), "small.Modelfile") {
		t.Fatalf("%+v", p)
	}
	text := read(t, p.Modelfile)
	for _, want := range []string{"ollama create NAME -f small.Modelfile\n", "\nFROM ./small.gguf\n", "tiny:latest", `TEMPLATE """{{ .Prompt }}"""`, `SYSTEM """Be brief."""`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Nothing is made for a model that is not Ollama's and shall not go there.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "small.gguf")
	write(t, strings.TrimSuffix(out, ".gguf")+".Modelfile", "mine")
	for _, q := range []Request{{Output: out}, {Output: out, Ref: &modelref.Ref{Path: "m.gguf"}}} {
		if p := q.Publish(t.Context(), gguf.Written{Path: out}, new(progresstest.Listener)); p != nil {
			t.Errorf("%+v", p)
		}
		if err := q.CheckModelfile(); err != nil {
			t.Error(err)
		}
		if err := q.CheckOllama(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A Modelfile that is in the way of one whose name was given is an error, before the work and after it, and stays as it was. Where the
// name was found, the next number is taken. With Force it is replaced.
func TestInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, old := filepath.Join(dir, "small.gguf"), filepath.Join(dir, "small.Modelfile")
	write(t, old, "mine")
	given := Request{Ref: fromOllama(), Output: out}
	if err := given.CheckModelfile(); !errors.Is(err, outfile.ErrExists) {
		t.Errorf("before: %v", err)
	}
	w := gguf.Written{Path: out}
	p := given.Publish(t.Context(), w, new(progresstest.Listener))
	if p.Modelfile != "" || !errors.Is(p.Err, gguf.ErrExists) || !strings.Contains(p.Err.Error(), "small.gguf is written, but its Modelfile is not: ") || read(t, old) != "mine" {
		t.Errorf("%+v, %q is left", p, read(t, old))
	}

	found := Request{Ref: fromOllama()}
	for _, want := range []string{"small-2.Modelfile", "small-3.Modelfile"} {
		p := found.Publish(t.Context(), w, new(progresstest.Listener))
		if p.Err != nil || p.Modelfile != filepath.Join(dir, want) || !strings.Contains(read(t, p.Modelfile), "-f "+want) || !strings.Contains(read(t, p.Modelfile), "FROM ./small.gguf") {
			t.Errorf("%s: %+v", want, p)
		}
	}

	given.Force = true
	if err := given.CheckModelfile(); err != nil {
		t.Errorf("forced, before: %v", err)
	}
	if p := given.Publish(t.Context(), w, new(progresstest.Listener)); p.Err != nil || p.Modelfile != old || read(t, old) == "mine" {
		t.Errorf("forced: %+v", p)
	}
	// An input is never overwritten.
	if err := given.CheckModelfile(old); !errors.Is(err, outfile.ErrIsInput) {
		t.Errorf("forced over an input: %v", err)
	}
}

// Only what is to be made is checked for: a folder that is not there is told before the work.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	q := Request{Ref: fromOllama(), Output: filepath.Join(t.TempDir(), "no", "small.gguf")}
	if err := q.CheckModelfile(); err == nil {
		t.Error("a Modelfile can be written into a folder that is not there")
	}
	if p := q.Publish(t.Context(), gguf.Written{Path: q.Output}, new(progresstest.Listener)); p.Err == nil || p.Modelfile != "" {
		t.Errorf("%+v", p)
	}
}

// An Ollama that does not answer takes nothing back: the Modelfile is there, and how to go on is told.
func TestNoOllama(t *testing.T) {
	t.Setenv("OLLAMA_HOST", "http://127.0.0.1:1")
	out := filepath.Join(t.TempDir(), "small.gguf")
	q := Request{Ollama: "small", Output: out}
	if err := q.CheckOllama(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("before: %v", err)
	}
	p := q.Publish(t.Context(), gguf.Written{Path: out}, new(progresstest.Listener))
	if p == nil || p.Name != "" || p.Err == nil || !strings.Contains(p.Err.Error(), "is written, but it is not in Ollama: ") ||
		!strings.HasSuffix(p.Err.Error(), "then: ollama create small -f "+p.Modelfile) {
		t.Fatalf("%+v", p)
	}
	if text := read(t, p.Modelfile); !strings.Contains(text, "FROM ./small.gguf") {
		t.Errorf("%q", text)
	}
}
