package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdOllamaStore puts a model into an Ollama store: ollamastore STORE HOST/NAMESPACE/MODEL/TAG MODELFILE [KIND TEXT]...
func cmdOllamaStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: ollamastore STORE NAME MODELFILE [KIND TEXT]...")
	}
	blobs := ts.MkAbs(filepath.Join(args[0], "blobs"))
	ts.Check(os.MkdirAll(blobs, 0o755))
	var layers []any
	add := func(kind string, data []byte) {
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		ts.Check(os.WriteFile(filepath.Join(blobs, "sha256-"+digest), data, 0o644))
		layers = append(layers, map[string]any{
			"mediaType": "application/vnd.ollama.image." + kind, "digest": "sha256:" + digest, "size": len(data),
		})
	}
	add("model", []byte(ts.ReadFile(args[2])))
	for i := 3; i < len(args); i += 2 {
		add(args[i], []byte(args[i+1]))
	}
	manifest, err := json.Marshal(map[string]any{"layers": layers})
	ts.Check(err)
	path := ts.MkAbs(filepath.Join(args[0], "manifests", filepath.FromSlash(args[1])))
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, manifest, 0o644))
}

// cmdOllamaServer starts a server that takes models as Ollama does, and has one called taken: ollamaserver VERSION. What it is asked to
// create it writes into the file created.json.
func cmdOllamaServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ollamaserver VERSION")
	}
	created := ts.MkAbs("created.json")
	answer := func(pattern string, f func(body []byte, w http.ResponseWriter)) (string, http.HandlerFunc) {
		return pattern, func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err == nil {
				f(body, w)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc(answer("GET /api/version", func(_ []byte, w http.ResponseWriter) { fmt.Fprintf(w, `{"version":%q}`, args[0]) }))
	mux.HandleFunc(answer("POST /api/blobs/{digest}", func(_ []byte, w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }))
	mux.HandleFunc(answer("POST /api/show", func(body []byte, w http.ResponseWriter) {
		if strings.Contains(string(body), `"taken:latest"`) {
			fmt.Fprint(w, `{}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"not found"}`)
	}))
	mux.HandleFunc(answer("POST /api/create", func(body []byte, w http.ResponseWriter) {
		if strings.Contains(string(body), `"refused:latest"`) {
			fmt.Fprint(w, `{"error":"no space left on device"}`)
			return
		}
		if err := os.WriteFile(created, body, 0o644); err == nil {
			fmt.Fprint(w, `{"status":"success"}`)
		}
	}))
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("OLLAMA_HOST", server.URL)
}

// cmdTamper changes a bit in the last byte of each file in a folder: tamper FOLDER
func cmdTamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tamper FOLDER")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		ts.Check(err)
		data[len(data)-1] ^= 1
		ts.Check(os.WriteFile(f, data, 0o644))
	}
}
