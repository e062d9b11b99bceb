// A session: one llama.cpp context, and the edited decodes that run on it. Not seen by Go.
#pragma once

#include "cancel.h"
#include "graph.h"
#include "model.h"

#include <string>

struct bp_session {
    bp_model *        model = nullptr;
    bp_session_params params{};
    bp_cancel *       cancel = nullptr;
    bp::Editor        editor;

    std::vector<int32_t> targets;     // as given: n_seq*len, -1 = not scored
    std::vector<int32_t> row_targets; // of the scored positions only
    std::vector<uint8_t> base;        // the removed blocks of the last base pass

    int32_t              k = 0;    // tokens kept per scored position of the unpruned model's distribution; 0: none
    std::vector<int32_t> ref_ids;  // (n_rows, k)
    std::vector<float>   ref_logp; // (n_rows, k)

    std::vector<float> pieces; // (n_rows, n_vocab): logits of a batch that was decoded in pieces; empty: llama.cpp has them

    std::vector<bp::Tap> taps; // of the last segment: copies, until the next decode

    ggml_backend_ptr products; // where matrix products of the repair run

    // The last members, so that they go first: the context's graph points into the editor's buffers.
    llama_context_ptr ctx;
    bp::Batch         batch;
};

namespace bp {

// Decodes the batch of s from an empty memory. req null: as llama.cpp does it.
void decode(bp_session * s, Request * req);

// Runs an edited decode and writes the loss of every position, (n_seq, len): its NLL, or with a reference its KL divergence; 0 where
// it is not scored.
void eval(bp_session * s, Request & req, double * loss);

void                 check_mask(const bp_session * s, const void * mask);
std::vector<uint8_t> mask_of(const bp_session * s, const uint8_t * m);

} // namespace bp
