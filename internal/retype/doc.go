// Package retype loads a model with some tensors in other types than its file's, by way of a temporary file. A [Twin] is such a model in
// which llama.cpp computes faster.
package retype
