// Package peertest holds the program against llama.cpp's own tools, built from the same source by `make peers`: what ggufprune
// prints of a model, llama-perplexity prints of it too. It has tests only.
package peertest
