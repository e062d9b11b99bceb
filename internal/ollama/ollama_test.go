package ollama

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"

	"github.com/ggufprune/ggufprune/internal/modelref"
)

// says fails unless err is one line that holds all of want.
func says(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	for _, w := range append(want, "") {
		if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q is not one line that says %q", err, w)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"0.5.5": "", "0.17.4": "", "0.13.0-rc1": "", "0.0.0": "", "0.5.4": "is version 0.5.4, and 0.5.5 or later is needed",
		"0.5.5-rc0": "is needed", "0.1.9": "is needed", "": "is no Ollama", "nginx": "is no Ollama",
	} {
		_, err := (&fake{version: version}).start(t)
		if want == "" && err != nil {
			t.Errorf("%s: %v", version, err)
		} else if want != "" {
			says(t, err, want)
		}
	}
	s := (&fake{version: "0.12.10"}).must(t)
	if s.HasLogprobs() || !(&fake{version: "0.12.11"}).must(t).HasLogprobs() {
		t.Error("log-probabilities came with 0.12.11")
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	_, err = connect(context.Background(), &url.URL{Scheme: "http", Host: free})
	says(t, err, "no Ollama answers at http://"+free+": connection refused; start it with: ollama serve")
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	at, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = connect(context.Background(), at)
	says(t, err, "is no Ollama: GET /api/version gives 404", "OLLAMA_HOST")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := connect(ctx, at); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a": "a:latest", "me/a:b": "me/a:b", "registry.ollama.ai/library/x:1": "x:1"} {
		if got, err := CheckName(name); got != want || err != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "a b", "a:", ":b", "-a", "a/b/c/d/e f"} {
		_, err := CheckName(bad)
		says(t, err, "cannot be the name")
	}
}

// parent is a model with everything.
var parent = &modelref.Ollama{
	Name: "p:1", Template: "<|user|>{{ .Prompt }}\n<|end|>", System: `Be "brief".`, Licenses: []string{"MIT\n", "Apache"},
	Parameters: map[string]any{"stop": []any{"<|end|>", `"`}, "temperature": json.Number("0.60"), "num_ctx": json.Number("4096")},
	Messages:   []modelref.OllamaMessage{{Role: "user", Content: "hi"}, {Role: "assistant", Content: "ho"}}, Renderer: "r", Parser: "q",
}

// file writes a small file and returns its path and hash.
func file(t *testing.T, name, text string) (path, sha string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	return path, hex.EncodeToString(sum[:])
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := &fake{version: "0.13.5", models: map[string]api.CreateRequest{"taken:latest": {}}}
	s := f.must(t)
	path, sha := file(t, "m.gguf", "GGUF weights")
	images, imagesSHA := file(t, "x", "GGUF images")
	blob := filepath.Join(filepath.Dir(images), "sha256-"+imagesSHA)
	if err := os.Rename(images, blob); err != nil {
		t.Fatal(err)
	}
	from := *parent
	from.Projectors = []string{blob}
	sent := int64(0)
	err := s.Create(context.Background(), NewModel{Name: "n:1", File: path, SHA256: sha, Parent: &from}, func(n int64, _ string) { sent = max(sent, n) })
	if err != nil {
		t.Fatal(err)
	}
	got := f.models["n:1"]
	want := api.CreateRequest{
		Model: "n:1", Files: map[string]string{"m.gguf": "sha256:" + sha, filepath.Base(blob): "sha256:" + imagesSHA},
		Template: from.Template, System: from.System, License: []any{"MIT\n", "Apache"}, Renderer: "r", Parser: "q",
		Parameters: map[string]any{"stop": []any{"<|end|>", `"`}, "temperature": 0.6, "num_ctx": 4096.0},
		Messages:   []api.Message{{Role: "user", Content: "hi"}, {Role: "assistant", Content: "ho"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if sent != int64(len("GGUF weights")) {
		t.Errorf("progress ends at %d bytes", sent)
	}
	if bare, err := s.NoTemplate(context.Background(), "n:1"); bare || err != nil {
		t.Errorf("NoTemplate %v, %v", bare, err)
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	f := &fake{version: "0.13.5", models: map[string]api.CreateRequest{"taken:latest": {System: "old"}}}
	s := f.must(t)
	path, sha := file(t, "m.gguf", "GGUF weights")
	create := func(m NewModel) error {
		m.File = path
		return s.Create(context.Background(), m, func(int64, string) {})
	}
	err := create(NewModel{Name: "taken:latest", SHA256: sha})
	says(t, err, "already an Ollama model taken:latest; choose another name, or replace it with --force")
	if !errors.Is(err, ErrExists) || len(f.blobs) > 0 || f.models["taken:latest"].System != "old" {
		t.Errorf("%v, %d blobs, %+v", err, len(f.blobs), f.models)
	}
	if err := create(NewModel{Name: "taken:latest", SHA256: sha, Force: true}); err != nil || f.models["taken:latest"].System != "" {
		t.Errorf("with force: %v, %+v", err, f.models)
	}
	if bare, err := s.NoTemplate(context.Background(), "taken:latest"); !bare || err != nil {
		t.Errorf("NoTemplate %v, %v", bare, err)
	}
	says(t, create(NewModel{Name: "a:1", SHA256: strings.Repeat("0", 64)}), "sent m.gguf, says: digest mismatch")
	says(t, create(NewModel{Name: "a:1", SHA256: sha, Parent: &modelref.Ollama{Template: "{{ bad"}}), "asked to create a:1, says: template error")
	if _, ok := f.models["a:1"]; ok {
		t.Error("a:1 was made")
	}
}

// Whatever quotes the parent's texts have in them, Ollama's own parser reads the same texts from the Modelfile.
func TestModelfileIsParsedBack(t *testing.T) {
	t.Parallel()
	texts := []string{`a "quoted" word`, `ends with "x"`, "two\nlines \"q\"", `say """so""" here`, "first \"\"\"was\nthe last", " blanks ", "€", `"`}
	for _, text := range texts {
		parent := &modelref.Ollama{
			Template: text, System: text, Licenses: []string{text}, Messages: []modelref.OllamaMessage{{Role: "user", Content: text}},
			Parameters: map[string]any{"stop": []any{text}},
		}
		m, err := parser.ParseFile(strings.NewReader(Modelfile("a b.Modelfile", "a b.gguf", parent)))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := []parser.Command{{Name: "model", Args: "./a b.gguf"}}
		for _, name := range []string{"template", "stop", "system"} {
			want = append(want, parser.Command{Name: name, Args: text})
		}
		want = append(want, parser.Command{Name: "message", Args: "user: " + text}, parser.Command{Name: "license", Args: text})
		if d := cmp.Diff(want, m.Commands); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
}

func TestModelfile(t *testing.T) {
	t.Parallel()
	const want = `# ollama create NAME -f m.Modelfile
# Pruned from p:1, whose template, parameters, system prompt and licences these are.
FROM ./m.gguf
RENDERER r
PARSER q
TEMPLATE """<|user|>{{ .Prompt }}
<|end|>"""
PARAMETER num_ctx 4096
PARAMETER stop "<|end|>"
PARAMETER stop """""""
PARAMETER temperature 0.60
SYSTEM """Be "brief"."""
MESSAGE user """hi"""
MESSAGE assistant """ho"""
LICENSE """MIT
"""
LICENSE """Apache"""
`
	if d := cmp.Diff(want, Modelfile("/d/m.Modelfile", "/d/m.gguf", parent)); d != "" {
		t.Error(d)
	}
	if got := Modelfile("m-2.Modelfile", "m.gguf", nil); got != "# ollama create NAME -f m-2.Modelfile\nFROM ./m.gguf\n" {
		t.Errorf("without a parent: %q", got)
	}
	if got := Modelfile("m", "m.gguf", &modelref.Ollama{System: "a\"\"\"\nb"}); !strings.Contains(got, "\n# SYSTEM: left out") || strings.Contains(got, "\nSYSTEM") {
		t.Errorf("what cannot be quoted: %q", got)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	f := &fake{version: "0.13.5", models: map[string]api.CreateRequest{"a:1": {}, "b:1": {}}, answers: map[string][]api.Logprob{
		"a:1": {tok("the", -1), tok(" sea", -2), tok(" is", -3)}, "b:1": {tok("the", -1.5), tok(" sea", -2.25), tok(" was", -1)},
	}}
	s := f.must(t)
	c, err := s.Compare(context.Background(), "a:1", "b:1", CompareOptions{Prompts: []string{"x", "y"}, Predict: 3}, func(int, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Pairs) != 4 || c.Pairs[0].Mode != Raw || c.Pairs[1].Mode != Chat || c.Pairs[2].Prompt != "y" {
		t.Fatalf("pairs %+v", c.Pairs)
	}
	for _, p := range c.Pairs {
		if p.Same || p.EqualTokens != 2 || p.EqualChars != len("the sea ") || p.Max != 0.5 || p.Mean != 0.375 || p.Pruned.Text != "the sea was" {
			t.Errorf("%+v", p)
		}
	}
	for _, side := range []Side{c.Original, c.Pruned} {
		if math.Abs(side.Gen.Mean-20) > 1e-9 || math.Abs(side.Prompt.Mean-100) > 1e-9 || side.Gen.N != 4 || side.Gen.StdDev > 1e-9 || side.Memory != 1000 || side.VRAM != 10 || side.Context != 256 {
			t.Errorf("%+v", side)
		}
	}
	if len(f.loaded) > 0 {
		t.Errorf("still loaded: %v", f.loaded)
	}
	_, err = s.Compare(context.Background(), "a:1", "c:1", CompareOptions{Prompts: []string{"x"}}, func(int, string) {})
	says(t, err, "has no model c:1; ollama list")
}

// An Ollama without log-probabilities still gives texts.
func TestCompareOld(t *testing.T) {
	t.Parallel()
	f := &fake{version: "0.6.0", models: map[string]api.CreateRequest{"a:1": {}}, answers: map[string][]api.Logprob{"a:1": {tok("wörld", -1)}}}
	c, err := f.must(t).Compare(context.Background(), "a:1", "a:1", CompareOptions{Prompts: []string{"x"}, Predict: 3}, func(int, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Pairs[0]; c.Logprobs || !p.Same || p.EqualChars != 5 || len(p.Original.Tokens) > 0 || p.EqualTokens != 0 {
		t.Errorf("%+v", c)
	}
}
