// Package write writes what is left of a source, and ends in a check that has the last word on whether the file exists at all:
//
//	original, blocks left out  --logits of some hundred positions, perplexity-->  kept in memory, model closed
//	layout.Build -> gguf.WriteTemp -> temporary file
//	temporary file, stock context  --the same-->  compared row by row  -> Commit, or Discard and a [CheckError]
//
// The two models are never loaded at the same time. A file that is quantised is compared by its noise (docs/RATIONALE.md).
package write
