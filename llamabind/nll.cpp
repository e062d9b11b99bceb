// The negative log-likelihood of given targets, inside the graph: the logits never leave the device, and only a chunk of them
// exists at a time.
//
//   l     = tail(h)  (vocab, n)       the row-wise ops from the last hidden rows to the logits, cloned for n rows
//   am    = argmax(l)
//   lmax  = l[am]                     (n)
//   lt    = l[target]                 (k, n), k = 1, or the k likeliest tokens of the unpruned model for a KL divergence
//   pmax  = softmax(l)[am]            (n), at least 1/vocab, so nothing underflows
//   nll   = lmax - log(pmax) - lt     on the host (score.cpp), in double; relative error about 2e-7
#include "graph.h"

#include <algorithm>
#include <cstring>

namespace bp {

namespace {

// Rows per chunk: large enough for the matrix multiplication, small enough that the logits of a chunk stay near the caches.
constexpr int64_t CHUNK = 256;

// The tail: ops from the tensor after which every op works on each row alone, up to the logits. tail[0] reads `input`.
struct Tail {
    Tensor              input = nullptr;
    std::vector<Tensor> ops; // front to back
};

bool same_for_all_rows(const ggml_tensor * t) { return is_leaf(t) && t->ne[1] == 1 && t->ne[2] == 1 && t->ne[3] == 1; }

Tail find_tail(Tensor logits) {
    Tail   tail;
    Tensor cur = logits;
    for (;;) {
        if (cur->view_src || ggml_n_dims(cur) > 2) return {};
        tail.ops.push_back(cur);
        switch (cur->op) {
            case GGML_OP_MUL_MAT: {
                if (!is_leaf(cur->src[0]) || is_leaf(cur->src[1]) || cur->src[1]->ne[1] != logits->ne[1] || ggml_n_dims(cur->src[1]) > 2) return {};
                tail.input = cur->src[1];
                std::reverse(tail.ops.begin(), tail.ops.end());
                return tail;
            }
            case GGML_OP_ADD: case GGML_OP_MUL: case GGML_OP_DIV: case GGML_OP_SUB:
                if (!same_for_all_rows(cur->src[1])) return {};
                break;
            case GGML_OP_SCALE: case GGML_OP_UNARY: case GGML_OP_CLAMP:
                break;
            default:
                return {};
        }
        if (is_leaf(cur->src[0])) return {};
        cur = cur->src[0];
    }
}

// A copy of t, (d, n) in place of (d, n_rows), that reads input instead of t's own first varying source. input is (_, n).
Tensor clone_op(ggml_context * ctx, const ggml_tensor * t, Tensor input, int64_t n) {
    Tensor c = ggml_new_tensor_2d(ctx, t->type, t->ne[0], n);
    c->op    = t->op;
    memcpy(c->op_params, t->op_params, sizeof(c->op_params));
    std::copy(std::begin(t->src), std::end(t->src), std::begin(c->src));
    c->src[t->op == GGML_OP_MUL_MAT ? 1 : 0] = input;
    return c;
}

// The logits at k ids per row, (1, k, n): l is (vocab, n), ids has k*n elements.
Tensor pick(ggml_context * ctx, Tensor l, Tensor ids, int64_t k) {
    const int64_t n = l->ne[1];
    Tensor        r = ggml_get_rows(ctx, ggml_reshape_3d(ctx, l, 1, l->ne[0], n), ggml_reshape_2d(ctx, ids, k, n));
    ggml_set_output(r);
    return r;
}

} // namespace

size_t nll_headers(int32_t n_rows) { return (size_t(n_rows) / CHUNK + 1) * 24 + 8; }

bool build_nll(ggml_context * ctx, Tensor logits, Request & req, std::vector<Tensor> & targets, std::vector<Tensor> & outputs) {
    if (logits->ne[1] != req.n_rows || ggml_n_dims(logits) > 2) {
        throw Error(BP_UNSUPPORTED_ARCH, "the logits do not have one row for each output token");
    }
    const Tail    tail = find_tail(logits);
    const int64_t step = tail.input ? CHUNK : req.n_rows;
    for (int64_t r0 = 0; r0 < req.n_rows; r0 += step) {
        const int64_t n = std::min<int64_t>(step, req.n_rows - r0);
        Tensor        l = logits;
        if (tail.input) {
            l = ggml_view_2d(ctx, tail.input, tail.input->ne[0], n, tail.input->nb[1], r0 * tail.input->nb[1]);
            for (Tensor op : tail.ops) l = clone_op(ctx, op, l, n);
        } else {
            l = ggml_cont(ctx, logits);
        }
        Tensor target = ggml_new_tensor_1d(ctx, GGML_TYPE_I32, n * req.k);
        ggml_set_input(target);
        targets.push_back(target);

        Tensor am = ggml_argmax(ctx, l);
        Request::Rows rows;
        rows.lmax = pick(ctx, l, am, 1);
        rows.lt   = pick(ctx, l, target, req.k);
        rows.pmax = pick(ctx, ggml_soft_max(ctx, l), am, 1);
        req.rows.push_back(rows);
        for (Tensor t : {rows.lmax, rows.lt, rows.pmax}) outputs.push_back(t);
    }
    return tail.input != nullptr;
}

} // namespace bp
