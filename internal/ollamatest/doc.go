// Package ollamatest runs pruned models in a real Ollama server (scripts/build-ollama.sh, `make test-ollama`) and holds what it
// answers against llama.cpp's own. It has tests only. Without the server they are skipped.
package ollamatest
