// Package kld has the Kullback-Leibler divergence of one model's predictions from another's, KL(p || q) = sum p*log(p/q) in nats. p is the
// reference: the whole model, the one before quantising. Here are its two forms outside the engine:
//
//   - [Meter] compares logits over the whole vocabulary with a base file, the file in which llama-perplexity keeps the predictions of
//     the reference ([BaseWriter], [BaseReader]). It works in llama-perplexity's precision and order, down to the C library's expf:
//     on the same file, text and batches its [Report] has the same digits.
//   - [Divergence] is over the reference's likeliest tokens and the rest as one outcome, in double precision. It is what a search by
//     --metric kld minimises. The engine computes it in its graph; this one is the definition that it is held against.
//
// [Term] is one token's part in double precision, for whoever sums in an order of their own.
package kld
