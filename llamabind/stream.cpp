// Single blocks run on a residual stream that the caller keeps, products of what such runs give, and the exchange of a loaded
// model's weights: what a repair needs (package repair).
#include "session.h"

#include "ggml-cpu.h"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace {

using bp::Error;
using bp::guarded;
using bp::Tensor;

// The loaded tensor of a block's weight; any one for the name "".
Tensor weight_of(const bp_session * s, const char * name) {
    if (!*name) {
        for (const auto & [_, t] : s->editor.weights) {
            if (t) return t;
        }
    }
    auto it = s->editor.weights.find(name);
    if (it == s->editor.weights.end() || !it->second) throw Error(BP_BAD_INPUT, std::string("the model's blocks have no weight ") + name);
    return it->second;
}

// acc (rows, cols) += a^T b: a is (n, rows), b is (n, cols). Each call's product runs in single precision, the sum over calls is double.
void accumulate(ggml_backend_t backend, int64_t n, int64_t rows, const float * a, int64_t cols, const float * b, double * acc) {
    const ggml_context_ptr ctx(ggml_init({ggml_tensor_overhead() * 16 + ggml_graph_overhead(), nullptr, true}));
    if (!ctx) throw Error(BP_OOM, "no memory for tensor headers");
    Tensor ta = ggml_new_tensor_2d(ctx.get(), GGML_TYPE_F32, rows, n);
    Tensor tb = ggml_new_tensor_2d(ctx.get(), GGML_TYPE_F32, cols, n);
    Tensor at = ggml_cont(ctx.get(), ggml_transpose(ctx.get(), ta));
    Tensor bt = a == b ? at : ggml_cont(ctx.get(), ggml_transpose(ctx.get(), tb));
    Tensor p  = ggml_mul_mat(ctx.get(), bt, at); // (cols, rows): row r holds sum_n a[r,n] b[.,n]
    ggml_cgraph * gf = ggml_new_graph(ctx.get());
    ggml_build_forward_expand(gf, p);
    const ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors(ctx.get(), backend));
    if (!buffer) throw Error(BP_OOM, "no memory for a matrix product");
    ggml_backend_tensor_set(ta, a, 0, ggml_nbytes(ta));
    if (a != b) ggml_backend_tensor_set(tb, b, 0, ggml_nbytes(tb));
    if (ggml_backend_graph_compute(backend, gf) != GGML_STATUS_SUCCESS) throw Error(BP_DECODE, "a matrix product failed");
    std::vector<float> out(size_t(rows) * cols);
    ggml_backend_tensor_get(p, out.data(), 0, ggml_nbytes(p));
    for (size_t i = 0; i < out.size(); i++) acc[i] += out[i];
}

// Refuses a tap without one row for each of n positions: its copied input must be (k, n), with experts (k, used, n).
void check_tap(bp::Tap & t, int64_t n) {
    if (!t.refused.empty()) return;
    const int64_t slots = n * (t.ids ? t.ids->ne[0] : 1);
    bool          ok    = t.input->type == GGML_TYPE_F32 && ggml_nelements(t.input) == t.input->ne[0] * slots;
    ok = ok && (!t.ids || (t.ids->type == GGML_TYPE_I32 && ggml_nelements(t.ids) == slots));
    for (Tensor f : t.factors) ok = ok && f->type == GGML_TYPE_F32 && (ggml_nelements(f) == 1 || ggml_nelements(f) == n || ggml_nelements(f) == slots);
    if (!ok) t.refused = "its output projection does not have one row for each position";
}

const bp::Tap & tap_of(const bp_session * s, int32_t i) {
    if (i < 0 || size_t(i) >= s->taps.size()) throw Error(BP_BAD_INPUT, "no such tap");
    return s->taps[i];
}

} // namespace

bp_status bp_segment(bp_session * s, const uint8_t * removed, int32_t start, int32_t stop, const float * in, float * out,
                     const char * taps, bp_err * err) {
    return guarded(err, [&] {
        s->taps.clear();
        bp::check_mask(s, &s->params);
        const int32_t n    = int32_t(s->editor.reference.size());
        const size_t  size = s->targets.size() * size_t(llama_model_n_embd(s->model->model.get()));
        if (s->row_targets.size() != s->targets.size()) throw Error(BP_BAD_INPUT, "a segment needs every position scored");
        if (start < -1 || start >= stop || stop > n || (start < 0) != (in == nullptr)) throw Error(BP_BAD_INPUT, "no such segment");
        const std::vector<uint8_t> mask = bp::mask_of(s, removed);
        std::vector<float>         stream;
        bp::Request req;
        req.removed      = &mask;
        req.capture_only = true;
        req.capture.assign(n + 1, 0);
        req.capture[stop] = 1;
        req.start         = start;
        if (in) {
            stream.assign(in, in + size);
            req.stream = &stream;
        }
        std::istringstream names(taps ? taps : "");
        for (std::string name; std::getline(names, name);) {
            req.taps.emplace_back();
            req.taps.back().weight = name;
        }
        bp::decode(s, &req);
        const std::vector<float> after = s->editor.cache.read(s->editor.cache.slot_of[stop]);
        if (after.size() != size) throw Error(BP_UNSUPPORTED_ARCH, "the residual stream does not have one row for each position");
        std::copy(after.begin(), after.end(), out);
        s->taps = std::move(req.taps);
        for (bp::Tap & t : s->taps) check_tap(t, int64_t(s->targets.size()));
    });
}

bp_status bp_tap_shape(bp_session * s, int32_t i, int64_t * k, int64_t * used, int64_t * norm, const char ** refused, bp_err * err) {
    return guarded(err, [&] {
        const bp::Tap & t = tap_of(s, i);
        *refused          = t.refused.c_str();
        *k                = t.refused.empty() ? t.input->ne[0] : 0;
        *used             = t.refused.empty() && t.ids ? t.ids->ne[0] : 0;
        *norm             = t.refused.empty() && t.norm ? ggml_nelements(t.norm) : 0;
    });
}

bp_status bp_tap_read(bp_session * s, int32_t i, float * features, float * scale, float * bias_scale, int32_t * ids, float * norm, float * eps,
                      bp_err * err) {
    return guarded(err, [&] {
        const bp::Tap & t = tap_of(s, i);
        if (!t.refused.empty()) throw Error(BP_BAD_INPUT, "there is nothing to read: " + t.refused);
        ggml_backend_tensor_get(t.input, features, 0, ggml_nbytes(t.input));
        if (t.ids) ggml_backend_tensor_get(t.ids, ids, 0, ggml_nbytes(t.ids));
        if (t.norm) ggml_backend_tensor_get(t.norm, norm, 0, ggml_nbytes(t.norm));
        *eps = t.eps;
        const size_t slots = size_t(ggml_nelements(t.input) / t.input->ne[0]);
        std::fill(scale, scale + slots, t.scale);
        std::fill(bias_scale, bias_scale + slots, t.bias_scale);
        std::vector<float> factor;
        for (size_t n = 0; n < t.factors.size(); n++) {
            Tensor f = t.factors[n];
            factor.resize(size_t(ggml_nelements(f)));
            ggml_backend_tensor_get(f, factor.data(), 0, ggml_nbytes(f));
            for (size_t j = 0; j < slots; j++) {
                const float x = factor[j * factor.size() / slots];
                scale[j] *= x;
                if (n >= t.bias_factors) bias_scale[j] *= x;
            }
        }
    });
}

bp_status bp_eval_from(bp_session * s, const uint8_t * removed, int32_t start, const float * in, double * loss, bp_err * err) {
    return guarded(err, [&] {
        bp::check_mask(s, &s->params);
        if (s->row_targets.size() != s->targets.size()) throw Error(BP_BAD_INPUT, "a segment needs every position scored");
        if (start < 0 || start > int32_t(s->editor.reference.size())) throw Error(BP_BAD_INPUT, "no such segment");
        const std::vector<uint8_t> mask = bp::mask_of(s, removed);
        const std::vector<float>   stream(in, in + s->targets.size() * size_t(llama_model_n_embd(s->model->model.get())));
        bp::Request req;
        req.removed = &mask;
        req.start   = start;
        req.stream  = &stream;
        bp::eval(s, req, loss);
    });
}

bp_status bp_product(bp_session * s, const char * weight, int64_t n, int64_t ka, const float * a, int64_t kb, const float * b, double * acc, bp_err * err) {
    return guarded(err, [&] {
        if (n < 1 || ka < 1 || kb < 1) throw Error(BP_BAD_INPUT, "a product of nothing");
        ggml_backend_dev_t dev = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(weight_of(s, weight)->buffer));
        if (!dev) dev = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        if (!s->products || ggml_backend_get_device(s->products.get()) != dev) s->products.reset(ggml_backend_dev_init(dev, nullptr));
        if (!s->products) throw Error(BP_OOM, "the device of the weights could not be opened");
        if (ggml_backend_is_cpu(s->products.get())) ggml_backend_cpu_set_n_threads(s->products.get(), s->params.n_threads);
        accumulate(s->products.get(), n, ka, a, kb, b, acc);
    });
}

bp_status bp_set_weight(bp_session * s, const char * name, const void * data, size_t size, bp_err * err) {
    return guarded(err, [&] {
        Tensor t = weight_of(s, name);
        if (ggml_nbytes(t) != size) throw Error(BP_BAD_INPUT, std::string("the new ") + name + " has another size");
        if (strstr(ggml_backend_buffer_name(t->buffer), "Mapped")) throw Error(BP_BAD_INPUT, "the weights of a mapped file cannot be changed; load the model without mmap");
        ggml_backend_tensor_set(t, data, 0, size);
    });
}

size_t bp_row_size(int32_t type, int64_t n_per_row) {
    if (type < 0 || type >= GGML_TYPE_COUNT || ggml_blck_size(ggml_type(type)) == 0 || n_per_row % ggml_blck_size(ggml_type(type)) != 0) return 0;
    return ggml_row_size(ggml_type(type), n_per_row);
}

size_t bp_from_float(int32_t type, const float * weights, int64_t n_rows, int64_t n_per_row, const float * importance, void * out) {
    return bp::guarded_value(size_t(0), [&]() -> size_t {
        if (bp_row_size(type, n_per_row) == 0 || (ggml_quantize_requires_imatrix(ggml_type(type)) && !importance)) return 0;
        return ggml_quantize_chunk(ggml_type(type), weights, out, 0, n_rows, n_per_row, importance);
    });
}
