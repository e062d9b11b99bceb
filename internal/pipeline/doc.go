// Package pipeline joins the parts of ggufprune into jobs: open a model, measure it, search what to remove, write what is
// left, and prove that the written file computes what was measured. It prints nothing; what happens on the way goes to a
// [Reporter].
//
// Writing ends in a check that has the last word on whether a file exists at all:
//
//	original, blocks left out  --logits of some hundred positions, perplexity-->  kept in memory, model closed
//	layout.Build -> gguf.WriteTemp -> temporary file
//	temporary file, stock context  --the same-->  compared row by row  -> Commit, or Discard and a [CheckError]
//
// The two models are never loaded at the same time.
package pipeline
