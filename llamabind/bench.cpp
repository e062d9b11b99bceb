// Speed as llama-bench measures it, and the size of a context's memory.
#include "graph.h"
#include "model.h"
#include "shim.h"

// Upstream's header for what is not settled yet; llama.cpp is pinned, so it does not move under us.
#include "../third_party/llama.cpp/src/src/llama-ext.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>

struct bp_bench {
    bp_model *       model = nullptr;
    bp_bench_params  params{};
    llama_context *  ctx = nullptr;
    volatile int32_t cancel = 0;
    std::minstd_rand random; // the same tokens every time

    ~bp_bench() {
        if (ctx) llama_free(ctx);
    }
};

namespace {

using bp::Error;

template <typename F> bp_status at_edge(bp_err * err, F && body) {
    bp::Guard guard;
    err->text[0] = 0;
    try {
        body();
        return BP_OK;
    } catch (const Error & e) {
        snprintf(err->text, sizeof(err->text), "%s", e.what());
        return e.status;
    } catch (const std::exception & e) {
        snprintf(err->text, sizeof(err->text), "%s", e.what());
        return BP_INTERNAL;
    }
}

void open(bp_bench * b) {
    const bp_bench_params & p = b->params;
    if (p.n_ctx < 1 || p.n_batch < 1 || p.n_ubatch < 1) throw Error(BP_BAD_INPUT, "a bench needs at least one token");
    llama_context_params c = llama_context_default_params();
    c.n_ctx               = p.n_ctx;
    c.n_batch             = p.n_batch;
    c.n_ubatch            = p.n_ubatch;
    c.n_seq_max           = 1;
    c.n_threads           = p.n_threads;
    c.n_threads_batch     = p.n_threads;
    c.flash_attn_type     = llama_flash_attn_type(p.flash_attn);
    c.no_perf             = true;
    c.abort_callback      = [](void * flag) { return *static_cast<volatile int32_t *>(flag) != 0; };
    c.abort_callback_data = const_cast<int32_t *>(&b->cancel);
    b->ctx = llama_init_from_model(b->model->model, c);
    if (!b->ctx) throw Error(BP_LOAD, bp::first_log("llama.cpp could not create a context"));
}

void decode(bp_bench * b, std::vector<llama_token> & tokens) {
    const int rc = llama_decode(b->ctx, llama_batch_get_one(tokens.data(), int32_t(tokens.size())));
    if (rc == 2 || b->cancel) throw Error(BP_CANCELLED, "cancelled");
    if (rc != 0) throw Error(rc == -2 ? BP_OOM : BP_DECODE, "llama_decode failed with code " + std::to_string(rc));
}

double run(bp_bench * b, int32_t n, bool one_by_one) {
    if (n < 1 || n > b->params.n_ctx) throw Error(BP_BAD_INPUT, "the bench's context holds " + std::to_string(b->params.n_ctx) + " tokens");
    const llama_vocab * vocab = llama_model_get_vocab(b->model->model);
    const int32_t n_vocab = llama_vocab_n_tokens(vocab), step = one_by_one ? 1 : std::min(n, b->params.n_batch);
    if (llama_memory_t mem = llama_get_memory(b->ctx)) llama_memory_clear(mem, false);
    std::vector<llama_token> tokens;

    const auto begin = std::chrono::steady_clock::now();
    for (int32_t done = 0; done < n; done += int32_t(tokens.size())) {
        tokens.resize(std::min(step, n - done));
        for (llama_token & t : tokens) t = llama_token(b->random() % n_vocab);
        if (done == 0 && llama_vocab_get_add_bos(vocab)) tokens[0] = llama_vocab_bos(vocab);
        decode(b, tokens);
        if (one_by_one) llama_synchronize(b->ctx);
    }
    llama_synchronize(b->ctx);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

bp_status bp_bench_open(bp_model * m, const bp_bench_params * params, bp_bench ** out, bp_err * err) {
    *out = nullptr;
    bp::clear_log();
    auto b    = std::make_unique<bp_bench>();
    b->model  = m;
    b->params = *params;
    const bp_status st = at_edge(err, [&] { open(b.get()); });
    if (st == BP_OK) *out = b.release();
    return st;
}

void bp_bench_close(bp_bench * b) { delete b; }

volatile int32_t * bp_bench_cancel_flag(bp_bench * b) { return &b->cancel; }

bp_status bp_bench_run(bp_bench * b, int32_t n, bool one_by_one, double * seconds, bp_err * err) {
    return at_edge(err, [&] { *seconds = run(b, n, one_by_one); });
}

uint64_t bp_bench_memory(const bp_bench * b) {
    uint64_t bytes = 0;
    for (const auto & [buft, data] : llama_get_memory_breakdown(b->ctx)) bytes += data.context;
    return bytes;
}
