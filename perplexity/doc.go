// Package perplexity turns text into token sequences and a model's token losses into perplexities.
//
// Two conventions exist side by side and are never mixed. Numbers of one say nothing about numbers of the other, so every
// result names the one it comes from.
//
//   - [Samples], as in BlockPruner (arXiv 2406.10594): every document of the corpus is one sequence, preceded by the model's
//     BOS token if it has one, cut at the context length. Each position predicts the next token. A sequence's loss is the mean of
//     its token losses, and PPL = exp(mean over the sequences): short documents count as much as long ones.
//   - [Windows], as in llama.cpp's llama-perplexity, whose digits it reproduces: the whole text is one token stream, cut in
//     windows of n_ctx tokens; each window's first token is replaced by BOS; only positions n_ctx/2 .. n_ctx-2 are scored, so
//     that every prediction has at least half a window of context. PPL = exp(sum of losses / number of scored positions).
//
// The flow is [Corpus] (documents, from text or JSON) -> [Set] (token sequences of one convention) -> [Evaluator], which packs
// the sequences into batches and runs them through an engine ([engine.Runner]). Losses are negative log-likelihoods in nats (NLL), summed in
// double precision, a sequence at a time: results do not depend on how sequences were packed into batches.
//
// A set's losses may instead be KL divergences from the whole model ([WithReferences]). What a divergence is, and the comparison of two
// models over their whole vocabulary, is in package kld.
//
// A model that a mask has broken gives infinite losses. They make the score +Inf, never NaN.
package perplexity
