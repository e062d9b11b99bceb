// Quantising by llama.cpp's own quantiser. It knows no interruption and reports its progress to the log only, so the log is
// where both happen: before each tensor it logs a line "[   3/ 112] blk.0.attn_k.weight - ...", on the thread that called it
// and in C++ code, which an exception may leave.
#include "cancel.h"
#include "model.h"

#include <cctype>
#include <cstdio>
#include <cstring>
#include <regex>
#include <vector>

namespace {

// QUANT_OPTIONS of llama.cpp's tools/quantize/quantize.cpp without COPY.
const struct { const char * name; llama_ftype ftype; } ftypes[] = {
    {"Q1_0", LLAMA_FTYPE_MOSTLY_Q1_0},       {"Q2_0", LLAMA_FTYPE_MOSTLY_Q2_0},       {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},       {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
    {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},       {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},       {"IQ2_XXS", LLAMA_FTYPE_MOSTLY_IQ2_XXS},
    {"IQ2_XS", LLAMA_FTYPE_MOSTLY_IQ2_XS},   {"IQ2_S", LLAMA_FTYPE_MOSTLY_IQ2_S},     {"IQ2_M", LLAMA_FTYPE_MOSTLY_IQ2_M},
    {"IQ1_S", LLAMA_FTYPE_MOSTLY_IQ1_S},     {"IQ1_M", LLAMA_FTYPE_MOSTLY_IQ1_M},     {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
    {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},     {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},       {"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
    {"IQ3_XXS", LLAMA_FTYPE_MOSTLY_IQ3_XXS}, {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},     {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    {"Q3_K", LLAMA_FTYPE_MOSTLY_Q3_K_M},     {"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS},   {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
    {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},   {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},   {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
    {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},   {"Q4_K", LLAMA_FTYPE_MOSTLY_Q4_K_M},     {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S},
    {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},   {"Q5_K", LLAMA_FTYPE_MOSTLY_Q5_K_M},     {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S},
    {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},   {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},       {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"F16", LLAMA_FTYPE_MOSTLY_F16},         {"BF16", LLAMA_FTYPE_MOSTLY_BF16},       {"F32", LLAMA_FTYPE_ALL_F32},
};

bool equal_fold(const char * a, const char * b) {
    for (; *a && tolower((unsigned char) *a) == tolower((unsigned char) *b); a++, b++) {}
    return *a == *b;
}

// Follow reads the quantiser's log.
struct Follow final : bp::LogTap {
    const bp_cancel * cancel;
    bp_quantize_fn    progress;
    uintptr_t         handle;
    bool              dry_run;
    bool              cancelled = false;
    std::string       failure; // why llama_model_quantize failed, in its words
    int               i = 0, n = 0;
    std::string       name; // in a dry run, the tensor whose type follows

    Follow(const bp_cancel * c, bp_quantize_fn p, uintptr_t h, bool dry) : cancel(c), progress(p), handle(h), dry_run(dry) {}

    void line(const char * text) override {
        static const char failed[] = "llama_model_quantize: failed to quantize: ";
        if (!strncmp(text, failed, sizeof(failed) - 1)) {
            failure = text + sizeof(failed) - 1;
            return;
        }
        const bool loading = !strncmp(text, "llama_model_loader: ", 20);
        char tensor[GGML_MAX_NAME] = "";
        const bool next = sscanf(text, "[%d/%d] %63s", &i, &n, tensor) == 3;
        if ((next || loading) && !cancelled && bp::cancelled(cancel)) {
            cancelled = true;
            throw bp::Error(BP_CANCELLED, "cancelled");
        }
        if (next && dry_run) {
            name = tensor;
        } else if (next) {
            progress(handle, i, n, tensor, -1);
        } else if (!name.empty() && !strncmp(text, "size = ", 7)) {
            // "size = 1.00 MiB -> 0.28 MiB (q4_K)", without an arrow where the type stays
            int32_t type = -1;
            const char * open = strrchr(text, '(');
            if (open) {
                const std::string t(open + 1, strcspn(open + 1, ")"));
                type = bp_ggml_type(t.c_str());
            }
            progress(handle, i, n, name.c_str(), type);
            name.clear();
        }
    }
};

std::vector<llama_model_kv_override> overrides(const bp_quantize_params * p) {
    std::vector<llama_model_kv_override> out;
    for (int32_t i = 0; i < p->n_kvs; i++) {
        llama_model_kv_override o = {};
        snprintf(o.key, sizeof(o.key), "%s", p->kvs[i].key);
        if (p->kvs[i].text) {
            o.tag = LLAMA_KV_OVERRIDE_TYPE_STR;
            snprintf(o.val_str, sizeof(o.val_str), "%s", p->kvs[i].text);
        } else {
            o.tag     = LLAMA_KV_OVERRIDE_TYPE_INT;
            o.val_i64 = p->kvs[i].number;
        }
        out.push_back(o);
    }
    out.push_back({}); // an empty key ends the list
    return out;
}

std::vector<llama_model_tensor_override> overrides_of_types(const bp_quantize_params * p) {
    std::vector<llama_model_tensor_override> out;
    for (int32_t i = 0; i < p->n_tensor_types; i++) {
        try {
            std::regex(p->tensor_types[i].pattern);
        } catch (const std::regex_error & e) {
            throw bp::Error(BP_BAD_INPUT, std::string("\"") + p->tensor_types[i].pattern + "\" is no regular expression: " + e.what());
        }
        out.push_back({p->tensor_types[i].pattern, ggml_type(p->tensor_types[i].type)});
    }
    out.push_back({nullptr, GGML_TYPE_COUNT});
    return out;
}

} // namespace

const char * bp_ftype(int32_t i, int32_t * ftype) {
    if (i < 0 || size_t(i) >= sizeof(ftypes) / sizeof(ftypes[0])) return nullptr;
    *ftype = ftypes[i].ftype;
    return ftypes[i].name;
}

int32_t bp_ggml_type(const char * name) {
    for (int32_t t = 0; t < GGML_TYPE_COUNT; t++) {
        const char * have = ggml_type_name(ggml_type(t));
        if (have && equal_fold(have, name)) return t;
    }
    return -1;
}

const char * bp_ggml_type_name(int32_t type) {
    const char * name = type >= 0 && type < GGML_TYPE_COUNT ? ggml_type_name(ggml_type(type)) : nullptr;
    return name ? name : "";
}

bp_status bp_quantize(const char * in, const char * out, const bp_quantize_params * p, bp_cancel * cancel,
                      bp_quantize_fn progress, uintptr_t handle, bp_err * err) {
    return bp::guarded(err, [&] {
        bp::clear_log();
        llama_model_quantize_params qp = llama_model_quantize_default_params();
        qp.nthread                = p->n_threads;
        qp.ftype                  = llama_ftype(p->ftype);
        qp.allow_requantize       = p->allow_requantize;
        qp.quantize_output_tensor = !p->leave_output;
        qp.pure                   = p->pure;
        qp.dry_run                = p->dry_run;
        if (p->output_type >= 0) qp.output_tensor_type = ggml_type(p->output_type);
        if (p->embedding_type >= 0) qp.token_embedding_type = ggml_type(p->embedding_type);

        std::vector<llama_model_imatrix_data> imatrix;
        for (int32_t i = 0; i < p->n_imatrix; i++) imatrix.push_back({p->imatrix[i].name, p->imatrix[i].data, p->imatrix[i].size});
        imatrix.push_back({nullptr, nullptr, 0});
        if (p->n_imatrix > 0) qp.imatrix = imatrix.data();

        const auto types = overrides_of_types(p);
        if (p->n_tensor_types > 0) qp.tt_overrides = types.data();

        const auto kvs = overrides(p);
        if (p->n_kvs > 0) qp.kv_overrides = kvs.data();

        Follow   follow(cancel, progress, handle, p->dry_run);
        uint32_t failed;
        {
            bp::Tapped tapped(&follow);
            bp::Unguarded alone; // it has worker threads
            failed = llama_model_quantize(in, out, &qp);
        }
        if (follow.cancelled) throw bp::Error(BP_CANCELLED, "cancelled");
        if (failed) throw bp::Error(BP_LOAD, follow.failure.empty() ? bp::first_log("llama.cpp could not quantise the model") : follow.failure);
    });
}
