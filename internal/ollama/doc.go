// Package ollama hands models to a running Ollama, and compares two that it has, through Ollama's own Go client. OLLAMA_HOST says
// where it runs, as for the ollama program.
package ollama
