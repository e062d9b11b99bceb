// From the numbers that a graph gives to losses, on the host and in double. Not seen by Go.
#pragma once

#include "graph.h"

namespace bp {

// The loss of every output row of a finished request: its NLL; with ref_logp (n_rows, k), the KL divergence from that
// distribution. What is not finite becomes +Inf.
std::vector<double> losses(const Request & req, const float * ref_logp);

// NLL of target from full logits (n_vocab), as llama-perplexity's log_softmax (tools/perplexity/perplexity.cpp) has it.
double plain_nll(const float * logits, int32_t n_vocab, int32_t target);

// The k largest of n_vocab logits and their log-probabilities, (k) each, largest first; ties by the lower id.
void top_k(const float * logits, int32_t n_vocab, int32_t k, int32_t * ids, float * logp);

// Mean over n rows of the cosine between rows of a and b, which are (n, d).
double mean_cosine(const std::vector<float> & a, const std::vector<float> & b, size_t n);

} // namespace bp
