// A session: one llama.cpp context, and the edited decodes that run on it. Not seen by Go.
#pragma once

#include "graph.h"
#include "model.h"

#include <cstdio>
#include <new>
#include <string>

struct bp_session {
    bp_model *        model = nullptr;
    bp_session_params params{};
    llama_context *   ctx = nullptr;
    volatile int32_t  cancel = 0;
    bp::Editor        editor;

    llama_batch          batch{};
    std::vector<int32_t> targets;     // as given: n_seq*len, -1 = not scored
    std::vector<int32_t> row_targets; // of the scored positions only
    std::vector<uint8_t> base;        // the removed blocks of the last base pass

    int32_t              k = 0;    // tokens kept per scored position of the unpruned model's distribution; 0: none
    std::vector<int32_t> ref_ids;  // (n_rows, k)
    std::vector<float>   ref_logp; // (n_rows, k)

    std::vector<bp::Tap> taps; // of the last segment: copies, until the next decode

    std::unique_ptr<ggml_backend, decltype(&ggml_backend_free)> products{nullptr, ggml_backend_free}; // where matrix products of the repair run

    ~bp_session() {
        if (batch.token) llama_batch_free(batch);
        if (ctx) llama_free(ctx);
    }
};

namespace bp {

// Decodes the batch of s from an empty memory. req null: as llama.cpp does it.
void decode(bp_session * s, Request * req);

// Runs an edited decode and writes the loss of every scored position: its NLL, or with a reference its KL divergence.
void eval(bp_session * s, Request & req, double * loss);

void                 check_mask(const bp_session * s, const void * mask);
std::vector<uint8_t> mask_of(const bp_session * s, const uint8_t * m);

bp_status report(bp_err * err, const Error & e);

// The edge of the shim: whatever happens inside becomes a status.
template <typename F> bp_status at_edge(bp_err * err, F && body) {
    Guard guard;
    err->text[0] = 0;
    try {
        body();
        return BP_OK;
    } catch (const Error & e) {
        return report(err, e);
    } catch (const std::bad_alloc &) {
        return report(err, Error(BP_OOM, "out of memory"));
    } catch (const std::exception & e) {
        return report(err, Error(BP_INTERNAL, e.what()));
    }
}

} // namespace bp
