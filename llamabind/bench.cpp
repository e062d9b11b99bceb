// Speed as llama-bench measures it, and the size of a context's memory.
#include "cancel.h"
#include "model.h"

// Upstream's header for what is not settled yet; llama.cpp is pinned, so it does not move under us.
#include "../third_party/llama.cpp/src/src/llama-ext.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <vector>

struct bp_bench {
    bp_model *        model = nullptr;
    bp_bench_params   params{};
    bp_cancel *       cancel = nullptr;
    llama_context_ptr ctx;
    std::minstd_rand  random; // the same tokens every time
};

namespace {

using bp::Error;
using bp::guarded;
using bp::guarded_value;

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
    c.abort_callback      = bp::poll_cancelled;
    c.abort_callback_data = b->cancel;
    b->ctx.reset(llama_init_from_model(b->model->model.get(), c));
    if (!b->ctx) throw Error(BP_LOAD, bp::first_log("llama.cpp could not create a context"));
}

void decode(bp_bench * b, std::vector<llama_token> & tokens) {
    bp::check_decoded(llama_decode(b->ctx.get(), llama_batch_get_one(tokens.data(), int32_t(tokens.size()))), b->cancel);
}

double run(bp_bench * b, int32_t n, bool one_by_one) {
    if (n < 1 || n > b->params.n_ctx) throw Error(BP_BAD_INPUT, "the bench's context holds " + std::to_string(b->params.n_ctx) + " tokens");
    const llama_vocab * vocab = llama_model_get_vocab(b->model->model.get());
    const int32_t n_vocab = llama_vocab_n_tokens(vocab), step = one_by_one ? 1 : std::min(n, b->params.n_batch);
    if (llama_memory_t mem = llama_get_memory(b->ctx.get())) llama_memory_clear(mem, false);
    std::vector<llama_token> tokens;

    const auto begin = std::chrono::steady_clock::now();
    for (int32_t done = 0; done < n; done += int32_t(tokens.size())) {
        tokens.resize(std::min(step, n - done));
        for (llama_token & t : tokens) t = llama_token(b->random() % n_vocab);
        if (done == 0 && llama_vocab_get_add_bos(vocab)) tokens[0] = llama_vocab_bos(vocab);
        decode(b, tokens);
        if (one_by_one) llama_synchronize(b->ctx.get());
    }
    llama_synchronize(b->ctx.get());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

bp_status bp_bench_open(bp_model * m, const bp_bench_params * params, bp_cancel * cancel, bp_bench ** out, bp_err * err) {
    return guarded(err, [&] {
        *out = nullptr;
        bp::clear_log();
        auto b    = std::make_unique<bp_bench>();
        b->model  = m;
        b->params = *params;
        b->cancel = cancel;
        open(b.get());
        *out = b.release();
    });
}

void bp_bench_close(bp_bench * b) { delete b; }

bp_status bp_bench_run(bp_bench * b, int32_t n, bool one_by_one, double * seconds, bp_err * err) {
    return guarded(err, [&] { *seconds = run(b, n, one_by_one); });
}

uint64_t bp_bench_memory(const bp_bench * b) {
    return guarded_value(uint64_t(0), [&] {
        uint64_t bytes = 0;
        for (const auto & [buft, data] : llama_get_memory_breakdown(b->ctx.get())) bytes += data.context;
        return bytes;
    });
}
