// A session: one llama.cpp context, and the edited decodes that run on it.
#include "session.h"

#include "score.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace bp {

// Decodes a batch of more than n_batch tokens as llama-perplexity does, piece after piece on the memory of those before.
static void decode_pieces(bp_session * s) {
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
    s->pieces.reserve(s->row_targets.size() * size_t(n_vocab));
    llama_batch piece = s->batch;
    for (int32_t left = s->batch.n_tokens; left > 0; left -= piece.n_tokens) {
        piece.n_tokens = std::min(left, s->params.n_batch);
        check_cancelled(s->cancel);
        int rc;
        {
            Armed armed(&s->editor, nullptr);
            rc = llama_decode(s->ctx.get(), piece);
        }
        check_decoded(rc, s->cancel);
        llama_synchronize(s->ctx.get());
        if (const auto n = std::count_if(piece.logits, piece.logits + piece.n_tokens, [](int8_t l) { return l != 0; }); n > 0) {
            const float * rows = llama_get_logits(s->ctx.get());
            if (!rows) throw Error(BP_DECODE, "llama.cpp returned no logits");
            s->pieces.insert(s->pieces.end(), rows, rows + size_t(n) * n_vocab);
        }
        piece.token += piece.n_tokens, piece.pos += piece.n_tokens, piece.n_seq_id += piece.n_tokens;
        piece.seq_id += piece.n_tokens, piece.logits += piece.n_tokens;
    }
}

void decode(bp_session * s, Request * req) {
    check_cancelled(s->cancel);
    if (s->row_targets.empty()) throw Error(BP_BAD_INPUT, "the batch has no scored position");
    llama_memory_t mem = llama_get_memory(s->ctx.get());
    if (mem) llama_memory_clear(mem, true);
    s->pieces.clear();
    if (!req && s->params.unedited && s->params.n_batch > 0 && s->batch.n_tokens > s->params.n_batch) return decode_pieces(s);
    int rc;
    {
        Armed armed(&s->editor, req);
        rc = llama_decode(s->ctx.get(), s->batch);
    }
    if (req && req->error) std::rethrow_exception(req->error);
    check_decoded(rc, s->cancel);
    if (req && req->n_calls != 1) throw Error(BP_HOOK_NOT_CALLED, "llama.cpp computed the batch without asking for a graph to be allocated");
    llama_synchronize(s->ctx.get());
}

void check_mask(const bp_session * s, const void * mask) {
    if (s->params.unedited && mask) throw Error(BP_BAD_INPUT, "an unedited session cannot leave blocks out");
    if (!s->params.unedited && s->editor.reference.empty()) throw Error(BP_BAD_INPUT, "the session has no blocks");
}

void eval(bp_session * s, Request & req, double * loss) {
    const bool kl = s->k > 0;
    req.k       = kl ? s->k : 1;
    req.targets = kl ? s->ref_ids.data() : s->row_targets.data();
    req.n_rows  = int32_t(s->row_targets.size());
    decode(s, &req);

    const std::vector<double> rows = losses(req, kl ? s->ref_logp.data() : nullptr);
    size_t row = 0;
    for (size_t i = 0; i < s->targets.size(); i++) loss[i] = s->targets[i] < 0 ? 0 : rows[row++];
}

std::vector<uint8_t> mask_of(const bp_session * s, const uint8_t * m) {
    const size_t n = s->editor.reference.size();
    return m ? std::vector<uint8_t>(m, m + n) : std::vector<uint8_t>(n, 0);
}

} // namespace bp

namespace {

using bp::Error;
using bp::guarded;
using bp::check_mask;
using bp::decode;
using bp::eval;
using bp::mask_of;

llama_context_params context_params(const bp_session & s) {
    const bp_session_params & p = s.params;
    llama_context_params c = llama_context_default_params();
    c.n_ctx           = uint32_t(p.n_seq) * p.seq_len;
    c.n_batch         = p.unedited && p.n_batch > 0 ? std::min<uint32_t>(p.n_batch, c.n_ctx) : c.n_ctx;
    c.n_ubatch        = p.unedited && p.n_ubatch > 0 ? std::min<uint32_t>(p.n_ubatch, c.n_batch) : c.n_batch;
    c.n_seq_max       = p.n_seq;
    c.n_threads       = p.n_threads;
    c.n_threads_batch = p.n_threads;
    c.flash_attn_type = llama_flash_attn_type(p.flash_attn);
    c.kv_unified      = false;
    c.no_perf         = true;
    c.abort_callback      = bp::poll_cancelled;
    c.abort_callback_data = s.cancel;
    return c;
}

// Runs only as far as the boundaries in need, (n_blocks) or one more for the stream's end, and keeps them for candidates.
void capture(bp_session * s, std::vector<uint8_t> removed, std::vector<uint8_t> need) {
    s->base = std::move(removed);
    bp::Request req;
    req.removed      = &s->base;
    req.capture      = std::move(need);
    req.capture_only = true;
    decode(s, &req);
}

// Decodes the batch; rows is then llama.cpp's own (n_rows, n_vocab).
void logits(bp_session * s, const std::vector<uint8_t> * removed, const float ** rows, int32_t * n_rows) {
    bp::Request req;
    req.removed = removed;
    decode(s, removed ? &req : nullptr);
    *n_rows = int32_t(s->row_targets.size());
    *rows   = s->pieces.empty() ? llama_get_logits(s->ctx.get()) : s->pieces.data();
    if (!*rows) throw Error(BP_DECODE, "llama.cpp returned no logits");
}

void set_batch(bp_session * s, const int32_t * tokens, const int32_t * targets, int32_t n_seq, int32_t len) {
    const bp_session_params & p = s->params;
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
    if (n_seq < 1 || n_seq > p.n_seq || len < 1 || len > p.seq_len) {
        throw Error(BP_BAD_INPUT, "a batch of " + std::to_string(n_seq) + " x " + std::to_string(len) + " tokens does not fit the session");
    }
    const int32_t n = n_seq * len;
    for (int32_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= n_vocab || targets[i] < -1 || targets[i] >= n_vocab) {
            throw Error(BP_BAD_INPUT, "a token id lies outside of the vocabulary");
        }
    }
    s->editor.cache.forget();
    s->k = 0;
    s->targets.assign(targets, targets + n);
    s->row_targets.clear();
    s->batch.n_tokens = n;
    for (int32_t i = 0; i < n; i++) {
        s->batch.token[i]     = tokens[i];
        s->batch.pos[i]       = i % len;
        s->batch.n_seq_id[i]  = 1;
        s->batch.seq_id[i][0] = i / len;
        s->batch.logits[i]    = targets[i] >= 0;
        if (targets[i] >= 0) s->row_targets.push_back(targets[i]);
    }
}

// Opens the analysis with one small identity edit and compares it with no edit at all: the same logits bit for bit, and an NLL
// that agrees with theirs. What passes here computes what llama.cpp computes.
void self_test(bp_session * s) {
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
    const int32_t n_seq = std::min(2, s->params.n_seq), len = std::min(8, s->params.seq_len);
    std::vector<int32_t> tokens(n_seq * len), targets(n_seq * len);
    uint32_t x = 12345;
    for (int32_t & t : tokens) t = int32_t((x = x * 1664525u + 1013904223u) >> 8) % n_vocab;
    for (int32_t i = 0; i < n_seq * len; i++) targets[i] = tokens[(i + 1) % tokens.size()];
    set_batch(s, tokens.data(), targets.data(), n_seq, len);

    const float * rows;
    int32_t       n_rows;
    logits(s, nullptr, &rows, &n_rows);
    const std::vector<float> stock(rows, rows + size_t(n_rows) * n_vocab);

    // The first edited decode is also what finds the blocks.
    std::vector<uint8_t> none;
    logits(s, &none, &rows, &n_rows);
    if (memcmp(stock.data(), rows, stock.size() * sizeof(float)) != 0) {
        throw Error(BP_UNSUPPORTED_ARCH, "an edit that changes nothing changed the logits");
    }
    std::vector<double> nll(tokens.size());
    bp::Request req;
    eval(s, req, nll.data());
    for (int32_t i = 0; i < n_rows; i++) {
        const double want = bp::plain_nll(stock.data() + size_t(i) * n_vocab, n_vocab, targets[i]);
        if (std::isfinite(want) && std::fabs(nll[i] - want) > 1e-4 * std::max(1.0, std::fabs(want))) {
            throw Error(BP_UNSUPPORTED_ARCH, "the likelihood computed in the graph differs from the one computed from the logits");
        }
    }

    // A candidate from its boundary equals the full pass.
    const size_t n_blocks = s->editor.reference.size();
    std::vector<uint8_t> middle(n_blocks, 0);
    middle[n_blocks / 2] = 1;
    bp::Request base, full, part;
    base.capture = middle;
    full.removed = part.removed = &middle;
    part.start   = int(n_blocks / 2);
    std::vector<double> want(tokens.size()), got(tokens.size());
    eval(s, base, nll.data());
    eval(s, part, got.data());
    eval(s, full, want.data());
    if (want != got) throw Error(BP_UNSUPPORTED_ARCH, "starting at a captured boundary does not give the numbers of a full pass");
}

// Decodes two tokens of two sequences with an eye on the kernels that would run.
void look(bp_session * s) {
    const int32_t token[2] = {0, 0};
    set_batch(s, token, token, 2, 1);
    bp::Request req;
    req.look_only = true;
    decode(s, &req);
}

// While it lives, a context that is created rebuilds its graph for every batch: reuse would hide graphs from the hook. The context reads
// the variable in its constructor only.
struct NoGraphReuse {
    static constexpr const char * variable = "LLAMA_GRAPH_REUSE_DISABLE";
    const bool                    set;

    explicit NoGraphReuse(bool wanted) : set(wanted && getenv(variable) == nullptr) {
        if (set) setenv(variable, "1", 1);
    }
    ~NoGraphReuse() {
        if (set) unsetenv(variable);
    }
};

void open(bp_session * s) {
    if (s->params.n_seq < 1 || s->params.seq_len < 1) throw Error(BP_BAD_INPUT, "a session needs at least one token");
    if (uint32_t(s->params.n_seq) > llama_max_parallel_sequences()) throw Error(BP_BAD_INPUT, "too many sequences per batch");
    {
        static std::mutex env; // the variable is the whole process's
        std::lock_guard<std::mutex> lock(env);
        NoGraphReuse set(!s->params.unedited);
        s->ctx.reset(llama_init_from_model(s->model->model.get(), context_params(*s)));
    }
    if (!s->ctx) throw Error(BP_LOAD, bp::first_log("llama.cpp could not create a context"));
    s->batch.init(s->params.n_seq * s->params.seq_len);
    if (s->params.n_seq > 1) look(s);
    if (s->params.unedited) return;
    if (!llama_get_memory(s->ctx.get()) && !llama_model_has_decoder(s->model->model.get())) throw Error(BP_UNSUPPORTED_ARCH, "the model has no decoder");
    self_test(s);
}

} // namespace

bp_status bp_session_open(bp_model * m, const bp_session_params * params, bp_cancel * cancel, bp_session ** out, bp_err * err) {
    return guarded(err, [&] {
        *out = nullptr;
        bp::clear_log();
        auto s    = std::make_unique<bp_session>();
        s->model  = m;
        s->params = *params;
        s->cancel = cancel;
        open(s.get());
        *out = s.release();
    });
}

void bp_session_close(bp_session * s) { delete s; }

int32_t bp_n_blocks(const bp_session * s) { return int32_t(s->editor.reference.size()); }

void bp_block(const bp_session * s, int32_t i, int32_t * layer, int32_t * kind, int32_t * n_weights) {
    const bp::Block & b = s->editor.reference[i];
    *layer     = b.layer;
    *kind      = int32_t(b.kind);
    *n_weights = int32_t(b.weights.size());
}

const char * bp_block_weight(const bp_session * s, int32_t i, int32_t w) { return s->editor.reference[i].weights[w].c_str(); }

bp_status bp_set_batch(bp_session * s, const int32_t * tokens, const int32_t * targets, int32_t n_seq, int32_t len, bp_err * err) {
    return guarded(err, [&] { set_batch(s, tokens, targets, n_seq, len); });
}

bp_status bp_eval_base(bp_session * s, const uint8_t * removed, const uint8_t * need_boundary, double * nll, bp_err * err) {
    return guarded(err, [&] {
        if (s->params.unedited) throw Error(BP_BAD_INPUT, "an unedited session has no edited passes");
        check_mask(s, removed);
        s->base = mask_of(s, removed);
        bp::Request req;
        req.removed = &s->base;
        if (need_boundary) req.capture.assign(need_boundary, need_boundary + s->base.size());
        eval(s, req, nll);
    });
}

bp_status bp_capture(bp_session * s, const uint8_t * removed, const uint8_t * need_boundary, bp_err * err) {
    return guarded(err, [&] {
        check_mask(s, removed);
        capture(s, mask_of(s, removed), mask_of(s, need_boundary));
    });
}

bp_status bp_eval_candidate(bp_session * s, const uint8_t * candidate, double * loss, bp_err * err) {
    return guarded(err, [&] {
        check_mask(s, candidate);
        std::vector<uint8_t> removed = s->base;
        if (removed.size() != s->editor.reference.size()) throw Error(BP_STALE_CACHE, "no base pass has run on this batch");
        bp::Request req;
        for (size_t i = 0; i < removed.size(); i++) {
            if (candidate[i] && req.start < 0) req.start = int(i);
            removed[i] = removed[i] || candidate[i];
        }
        if (req.start < 0) throw Error(BP_BAD_INPUT, "the candidate removes nothing");
        req.removed = &removed;
        eval(s, req, loss);
    });
}

bp_status bp_logits(bp_session * s, const uint8_t * removed, const float ** rows, int32_t * n_rows, bp_err * err) {
    return guarded(err, [&] {
        check_mask(s, removed);
        std::vector<uint8_t> mask = mask_of(s, removed);
        logits(s, s->params.unedited ? nullptr : &mask, rows, n_rows);
    });
}

bp_status bp_eval_plain(bp_session * s, const uint8_t * removed, double * nll, bp_err * err) {
    return guarded(err, [&] {
        check_mask(s, removed);
        std::vector<uint8_t> mask = mask_of(s, removed);
        const float * rows;
        int32_t       n_rows;
        logits(s, s->params.unedited ? nullptr : &mask, &rows, &n_rows);
        const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
        for (size_t i = 0; i < s->targets.size(); i++) {
            nll[i] = 0;
            if (s->targets[i] < 0) continue;
            nll[i] = bp::plain_nll(rows, n_vocab, s->targets[i]);
            rows  += n_vocab;
        }
    });
}

bp_status bp_top_k(bp_session * s, int32_t k, int32_t * ids, float * logp, bp_err * err) {
    return guarded(err, [&] {
        const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
        if (k < 1 || k > n_vocab) throw Error(BP_BAD_INPUT, "cannot keep " + std::to_string(k) + " tokens of a vocabulary of " + std::to_string(n_vocab));
        const std::vector<uint8_t> none = mask_of(s, nullptr);
        const float * rows;
        int32_t       n_rows;
        logits(s, s->params.unedited ? nullptr : &none, &rows, &n_rows);
        for (int32_t i = 0; i < n_rows; i++) bp::top_k(rows + size_t(i) * n_vocab, n_vocab, k, ids + size_t(i) * k, logp + size_t(i) * k);
    });
}

bp_status bp_set_reference(bp_session * s, int32_t k, const int32_t * ids, const float * logp, bp_err * err) {
    return guarded(err, [&] {
        const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
        const size_t  n       = s->row_targets.size() * size_t(k);
        if (k < 1 || std::any_of(ids, ids + n, [&](int32_t t) { return t < 0 || t >= n_vocab; })) {
            throw Error(BP_BAD_INPUT, "the reference does not fit the model's vocabulary");
        }
        s->k = k;
        s->ref_ids.assign(ids, ids + n);
        s->ref_logp.assign(logp, logp + n);
    });
}

bp_status bp_influence(bp_session * s, double * block_cosine, double * layer_cosine, bp_err * err) {
    return guarded(err, [&] {
        check_mask(s, &s->params);
        const std::vector<bp::Block> & blocks = s->editor.reference;
        const size_t n = blocks.size(), positions = s->targets.size();
        if (s->row_targets.size() != positions) throw Error(BP_BAD_INPUT, "block influence needs every position scored");
        capture(s, std::vector<uint8_t>(n, 0), std::vector<uint8_t>(n + 1, 1));

        const std::vector<int> & slots = s->editor.cache.slot_of;
        std::vector<float> before = s->editor.cache.read(slots[0]), layer = before;
        size_t layer_start = 0;
        for (size_t i = 0, next; i < n; i = next) {
            // Blocks in parallel share their boundary: what they do together counts for each.
            for (next = i + 1; next < n && slots[next] == slots[i];) next++;
            std::vector<float> after = s->editor.cache.read(slots[next]);
            std::fill(block_cosine + i, block_cosine + next, bp::mean_cosine(before, after, positions));
            if (next == n || blocks[next].layer != blocks[layer_start].layer) {
                std::fill(layer_cosine + layer_start, layer_cosine + next, bp::mean_cosine(layer, after, positions));
                layer_start = next;
                layer       = after;
            }
            before = std::move(after);
        }
    });
}

bp_status bp_step(bp_session * s, const int32_t * tokens, const int32_t * seqs, const int32_t * pos, int32_t n, const float ** rows, bp_err * err) {
    return guarded(err, [&] {
        if (!s->params.unedited || n < 1 || n > s->params.n_seq) throw Error(BP_BAD_INPUT, "the tokens do not fit the session");
        const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(s->model->model.get()));
        llama_memory_t mem = llama_get_memory(s->ctx.get());
        for (int32_t i = 0; i < n; i++) {
            if (tokens[i] < 0 || tokens[i] >= n_vocab || seqs[i] < 0 || seqs[i] >= s->params.n_seq || pos[i] < 0 || pos[i] >= s->params.seq_len) {
                throw Error(BP_BAD_INPUT, "a token, sequence or position is out of range");
            }
            if (mem && pos[i] == 0) llama_memory_seq_rm(mem, seqs[i], -1, -1);
            s->batch.token[i]     = tokens[i];
            s->batch.pos[i]       = pos[i];
            s->batch.n_seq_id[i]  = 1;
            s->batch.seq_id[i][0] = seqs[i];
            s->batch.logits[i]    = 1;
        }
        s->batch.n_tokens = n;
        s->targets.clear();
        s->row_targets.clear();
        const int rc = llama_decode(s->ctx.get(), s->batch);
        bp::check_decoded(rc, s->cancel);
        *rows = llama_get_logits(s->ctx.get());
        if (!*rows) throw Error(BP_DECODE, "llama.cpp returned no logits");
    });
}

bp_status bp_generate(bp_session * s, const int32_t * prompt, int32_t n_prompt, int32_t * out, int32_t n, int32_t * n_out, bp_err * err) {
    *n_out = 0;
    return guarded(err, [&] {
        if (!s->params.unedited || n_prompt < 1 || n_prompt + n > s->params.seq_len) throw Error(BP_BAD_INPUT, "the prompt does not fit the session");
        const llama_vocab * vocab = llama_model_get_vocab(s->model->model.get());
        const int32_t n_vocab = llama_vocab_n_tokens(vocab);
        if (llama_memory_t mem = llama_get_memory(s->ctx.get())) llama_memory_clear(mem, true);
        std::vector<int32_t> tokens(prompt, prompt + n_prompt);
        while (*n_out < n) {
            bp::check_cancelled(s->cancel);
            if (llama_decode(s->ctx.get(), llama_batch_get_one(tokens.data(), int32_t(tokens.size()))) != 0) {
                bp::check_cancelled(s->cancel);
                throw Error(BP_DECODE, "llama_decode failed");
            }
            const float * l = llama_get_logits_ith(s->ctx.get(), -1);
            const int32_t t = int32_t(std::max_element(l, l + n_vocab) - l);
            if (llama_vocab_is_eog(vocab, t)) break;
            out[(*n_out)++] = t;
            tokens.assign(1, t);
        }
    });
}
