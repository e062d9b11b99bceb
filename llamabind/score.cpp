#include "score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bp {

namespace {

double finite_or_inf(double v) { return std::isfinite(v) ? v : std::numeric_limits<double>::infinity(); }

// KL(p || q) over k tokens and the rest of the vocabulary as one more outcome. lq are q's logits, lse their log-sum-exp.
double kl_divergence(const float * logp, const float * lq, double lse, int64_t k) {
    double kl = 0, p_rest = 1, q_rest = 1;
    for (int64_t i = 0; i < k; i++) {
        const double lp = logp[i], l = double(lq[i]) - lse, p = std::exp(lp);
        kl     += p * (lp - l);
        p_rest -= p;
        q_rest -= std::exp(l);
    }
    // Both rests are differences of numbers near 1 in single precision: below this they are noise.
    constexpr double NOISE = 1e-6;
    if (p_rest > NOISE) kl += p_rest * std::log(p_rest / std::max(q_rest, NOISE));
    return std::isnan(kl) ? kl : std::max(kl, 0.0);
}

} // namespace

std::vector<double> losses(const Request & req, const float * ref_logp) {
    std::vector<double> out;
    out.reserve(req.n_rows);
    std::vector<float> lmax, lt, pmax;
    for (const auto & r : req.rows) {
        const int64_t n = ggml_nelements(r.lmax);
        lmax.resize(n);
        pmax.resize(n);
        lt.resize(n * req.k);
        ggml_backend_tensor_get(r.lmax, lmax.data(), 0, n * sizeof(float));
        ggml_backend_tensor_get(r.lt,   lt.data(),   0, n * req.k * sizeof(float));
        ggml_backend_tensor_get(r.pmax, pmax.data(), 0, n * sizeof(float));
        for (int64_t i = 0; i < n; i++) {
            const double lse = double(lmax[i]) - std::log(double(pmax[i]));
            const float * l  = lt.data() + i * req.k;
            const double v   = ref_logp ? kl_divergence(ref_logp + out.size() * req.k, l, lse, req.k) : lse - double(l[0]);
            out.push_back(finite_or_inf(v));
        }
    }
    return out;
}

double plain_nll(const float * l, int32_t n_vocab, int32_t target) {
    float max = l[0];
    for (int32_t i = 1; i < n_vocab; i++) max = std::max(max, l[i]);
    double sum = 0;
    for (int32_t i = 0; i < n_vocab; i++) sum += expf(l[i] - max);
    return finite_or_inf(-(l[target] - max - log(sum)));
}

void top_k(const float * l, int32_t n_vocab, int32_t k, int32_t * ids, float * logp) {
    std::vector<int32_t> order(n_vocab);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) { return l[a] != l[b] ? l[a] > l[b] : a < b; });
    const double max = l[order[0]];
    double       sum = 0;
    for (int32_t i = 0; i < n_vocab; i++) sum += std::exp(double(l[i]) - max);
    for (int32_t i = 0; i < k; i++) {
        ids[i]  = order[i];
        logp[i] = float(double(l[order[i]]) - max - std::log(sum));
    }
}

double mean_cosine(const std::vector<float> & a, const std::vector<float> & b, size_t n) {
    const size_t d   = a.size() / n;
    double       sum = 0;
    for (size_t r = 0; r < n; r++) {
        double ab = 0, aa = 0, bb = 0;
        for (size_t i = r * d; i < (r + 1) * d; i++) {
            ab += double(a[i]) * b[i];
            aa += double(a[i]) * a[i];
            bb += double(b[i]) * b[i];
        }
        const double norm = std::sqrt(aa * bb);
        sum += norm > 0 ? ab / norm : 0;
    }
    return sum / double(n);
}

} // namespace bp
