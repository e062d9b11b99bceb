// Package evaluate measures one model as it is, or without some blocks: perplexity, accuracy on multiple-choice tasks, and what it
// says to a prompt.
package evaluate
