// Owners of what llama.cpp and ggml hand out, so that an exception frees it. Those of contexts, models, buffers and backends are
// llama.cpp's own (llama_context_ptr, llama_model_ptr, ggml_context_ptr, ggml_backend_buffer_ptr, ggml_backend_ptr). Not seen by Go.
#pragma once

#include "ggml-cpp.h"
#include "llama-cpp.h"

namespace bp {

// A llama_batch that frees its arrays. Empty until init.
struct Batch : llama_batch {
    Batch() : llama_batch{} {}
    ~Batch() {
        if (token) llama_batch_free(*this);
    }
    Batch(const Batch &)             = delete;
    Batch & operator=(const Batch &) = delete;

    // Makes room for n_tokens tokens of one sequence each. Once only.
    void init(int32_t n_tokens) { static_cast<llama_batch &>(*this) = llama_batch_init(n_tokens, 0, 1); }
};

} // namespace bp
