// Package tasks reads multiple-choice evaluation sets, says which tokens of each choice count, and turns the losses of those
// tokens into accuracies. It runs no model: [Task.Prepare] makes sequences for an engine.Runner, [Prepared.Score] takes
// what they cost.
//
// There are two conventions, which the form of the file decides ([Task.Convention]).
//
// The harness's, for the JSON forms of the published data sets: zero-shot prompts as in EleutherAI's lm-evaluation-harness
// (lm_eval/tasks/{hellaswag,winogrande,piqa,arc}), context and continuation encoded together and split at the length of the
// context alone. acc takes the choice with the largest log-likelihood, acc_norm with the largest for each character of the
// choice (the harness's acc_norm counts characters, not bytes). WinoGrande's choices differ in the context and have the same
// continuation (partial evaluation), so there is no acc_norm.
//
// llama.cpp's, for the forms that only llama-perplexity reads (tools/perplexity/perplexity.cpp): text for --hellaswag, CSV for
// --winogrande, binary for --multiple-choice. What counts are the tokens in which the choices differ, and its number is the
// mean for each token, here acc_norm; acc is the sum over the same tokens. WinoGrande is scored as llama-perplexity scores it,
// with what its source calls wrong there (see [Task.Prepare]).
package tasks
