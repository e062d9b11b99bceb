// Package repair re-fits the blocks that stay of a model, by package fit, before the file is written: it reads the texts, keeps what is
// done in a log beside the output, and where it is asked to loads the model with larger types.
package repair
