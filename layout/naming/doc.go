// Package naming makes the names of pruned models: of the file, in general.* of its metadata, of its size and its quantisation. They follow
// the GGUF naming convention.
package naming
