package ollama

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ollama/ollama/api"
)

// fake is as much of an Ollama server as the client uses. answers are what its models say, by name.
type fake struct {
	version string
	models  map[string]api.CreateRequest
	answers map[string][]api.Logprob

	mu     sync.Mutex
	blobs  map[string]string
	loaded map[string]bool
	asked  []string // requests in order
}

// start starts the server and connects to it.
func (f *fake) start(t *testing.T) (*Server, error) {
	t.Helper()
	f.blobs, f.loaded = map[string]string{}, map[string]bool{}
	if f.models == nil {
		f.models = map[string]api.CreateRequest{}
	}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	at, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return connect(context.Background(), at)
}

func (f *fake) must(t *testing.T) *Server {
	t.Helper()
	s, err := f.start(t)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	if digest, ok := strings.CutPrefix(r.URL.Path, "/api/blobs/"); ok {
		sum := sha256.Sum256(body)
		if digest != "sha256:"+hex.EncodeToString(sum[:]) {
			reply(w, http.StatusBadRequest, map[string]string{"error": "digest mismatch"})
			return
		}
		f.blobs[digest] = string(body)
		w.WriteHeader(http.StatusCreated)
		return
	}
	switch r.URL.Path {
	case "/api/version":
		reply(w, 200, map[string]string{"version": f.version})
	case "/api/show":
		f.show(w, body)
	case "/api/create":
		f.create(w, body)
	case "/api/generate":
		f.generate(w, body)
	case "/api/chat":
		f.chat(w, body)
	case "/api/ps":
		var p api.ProcessResponse
		for name := range f.loaded {
			p.Models = append(p.Models, api.ProcessModelResponse{Name: name, Size: 1000, SizeVRAM: 10, ContextLength: 256})
		}
		reply(w, 200, p)
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone wants no answer
}

func (f *fake) show(w http.ResponseWriter, body []byte) {
	var r api.ShowRequest
	_ = json.Unmarshal(body, &r)
	m, ok := f.models[r.Model]
	if !ok {
		reply(w, http.StatusNotFound, map[string]string{"error": "model '" + r.Model + "' not found"})
		return
	}
	template := m.Template
	if template == "" {
		template = "{{ .Prompt }}"
	}
	reply(w, 200, api.ShowResponse{Template: template})
}

func (f *fake) create(w http.ResponseWriter, body []byte) {
	var r api.CreateRequest
	_ = json.Unmarshal(body, &r)
	for _, digest := range r.Files {
		if _, ok := f.blobs[digest]; !ok {
			reply(w, 200, map[string]string{"error": "no such blob"})
			return
		}
	}
	if strings.Contains(r.Template, "{{ bad") {
		reply(w, 200, map[string]string{"error": "template error"})
		return
	}
	f.models[r.Model] = r
	reply(w, 200, api.ProgressResponse{Status: "success"})
}

func (f *fake) generate(w http.ResponseWriter, body []byte) {
	var r api.GenerateRequest
	_ = json.Unmarshal(body, &r)
	if r.Prompt == "" {
		if f.loaded[r.Model] = r.KeepAlive == nil; !f.loaded[r.Model] {
			delete(f.loaded, r.Model)
		}
		reply(w, 200, api.GenerateResponse{Done: true})
		return
	}
	if !r.Raw || r.Options["temperature"] != 0.0 || !f.loaded[r.Model] {
		reply(w, 400, map[string]string{"error": "not raw, not greedy or not loaded"})
		return
	}
	for _, t := range f.answers[r.Model] {
		reply(w, 200, api.GenerateResponse{Response: t.Token, Logprobs: only(t, r.Logprobs)})
	}
	reply(w, 200, api.GenerateResponse{Done: true, Metrics: metrics})
}

func (f *fake) chat(w http.ResponseWriter, body []byte) {
	var r api.ChatRequest
	_ = json.Unmarshal(body, &r)
	for _, t := range f.answers[r.Model] {
		reply(w, 200, api.ChatResponse{Message: api.Message{Content: t.Token}, Logprobs: only(t, r.Logprobs)})
	}
	reply(w, 200, api.ChatResponse{Done: true, Metrics: metrics})
}

// metrics are 100 tokens per second for prompts and 20 for answers.
var metrics = api.Metrics{PromptEvalCount: 10, PromptEvalDuration: 1e8, EvalCount: 2, EvalDuration: 1e8}

func only(t api.Logprob, want bool) []api.Logprob {
	if !want {
		return nil
	}
	return []api.Logprob{t}
}

func tok(text string, logprob float64) api.Logprob {
	return api.Logprob{TokenLogprob: api.TokenLogprob{Token: text, Logprob: logprob}}
}
