// Devices, models, tokens: thin calls of llama.cpp.
#include "model.h"

#include "cancel.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using bp::Error;
using bp::guarded;
using bp::guarded_value;

bp_log_fn log_sink = nullptr;

// The first error that llama.cpp logs during a call, on the thread that makes it: calls on other threads have their own.
thread_local std::string log_error;

void on_log(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) {
        // The first error of a call says what went wrong, those after it only that something did.
        if (log_error.empty()) log_error = text;
        while (!log_error.empty() && isspace((unsigned char) log_error.back())) log_error.pop_back();
    }
    if (log_sink) log_sink(int(level), text);
    if (bp::log_tap) bp::log_tap->line(text);
}

bool parse_split_mode(const char * s, llama_split_mode * out) {
    if (!s || !*s || !strcmp(s, "layer")) { *out = LLAMA_SPLIT_MODE_LAYER; return true; }
    if (!strcmp(s, "none"))               { *out = LLAMA_SPLIT_MODE_NONE;  return true; }
    if (!strcmp(s, "row"))                { *out = LLAMA_SPLIT_MODE_ROW;   return true; }
    return false;
}

const llama_vocab * vocab_of(const bp_model * m) { return llama_model_get_vocab(m->model.get()); }

} // namespace

namespace bp {

thread_local LogTap * log_tap = nullptr;

std::string first_log(const char * fallback) { return log_error.empty() ? fallback : log_error; }

void clear_log() { log_error.clear(); }

} // namespace bp

void bp_init(bp_log_fn log) {
    log_sink = log;
    llama_log_set(on_log, nullptr);
    llama_backend_init();
}

size_t bp_n_devices(void) { return ggml_backend_dev_count(); }

void bp_device(size_t i, const char ** name, const char ** desc, int * type, size_t * mem_free, size_t * mem_total) {
    *name = *desc = "";
    *type     = -1;
    *mem_free = *mem_total = 0;
    guarded_value(false, [&] {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        *name = ggml_backend_dev_name(dev);
        *desc = ggml_backend_dev_description(dev);
        *type = int(ggml_backend_dev_type(dev));
        ggml_backend_dev_memory(dev, mem_free, mem_total); // asserts that an RPC server answers
        return true;
    });
}

bp_status bp_add_rpc(const char * endpoint, bp_err * err) {
    return guarded(err, [&] {
        bp::clear_log();
        ggml_backend_reg_t reg = ggml_backend_reg_by_name("RPC");
        if (!reg) throw Error(BP_BAD_INPUT, "this build has no RPC backend; build with LLAMA_CMAKE_FLAGS=-DGGML_RPC=ON");
        using add_server = ggml_backend_reg_t (*)(const char *);
        auto add = add_server(ggml_backend_reg_get_proc_address(reg, "ggml_backend_rpc_add_server"));
        ggml_backend_reg_t server = add ? add(endpoint) : nullptr;
        if (!server) throw Error(BP_LOAD, std::string("no RPC server answers at ") + endpoint);
        ggml_backend_register(server);
    });
}

bp_status bp_model_load(const char * path, const bp_model_params * p, bp_cancel * cancel, bp_model ** out, bp_err * err) {
    return guarded(err, BP_LOAD, [&] {
        *out = nullptr;
        bp::clear_log();
        llama_model_params mp = llama_model_default_params();
        mp.n_gpu_layers = p->n_gpu_layers;
        mp.main_gpu     = p->main_gpu;
        mp.load_mode    = p->no_mmap ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_AUTO;
        mp.load_mtp     = false;
        mp.use_extra_bufts = !p->no_repack;
        if (!parse_split_mode(p->split_mode, &mp.split_mode)) {
            throw Error(BP_BAD_INPUT, std::string("the split mode ") + p->split_mode + " is not supported: use none, layer or row");
        }
        std::vector<float> split(llama_max_devices(), 0.0f);
        if (p->n_tensor_split > 0) {
            if (size_t(p->n_tensor_split) > split.size()) throw Error(BP_BAD_INPUT, "more tensor splits than devices are possible");
            std::copy(p->tensor_split, p->tensor_split + p->n_tensor_split, split.begin());
            mp.tensor_split = split.data();
        }
        std::vector<ggml_backend_dev_t> devices;
        for (int32_t i = 0; i < p->n_devices; i++) {
            if (p->n_devices == 1 && !strcmp(p->devices[i], "none")) break;
            ggml_backend_dev_t dev = ggml_backend_dev_by_name(p->devices[i]);
            if (!dev || ggml_backend_dev_type(dev) == GGML_BACKEND_DEVICE_TYPE_CPU) {
                throw Error(BP_BAD_INPUT, std::string("there is no device ") + p->devices[i]);
            }
            devices.push_back(dev);
        }
        devices.push_back(nullptr);
        if (p->n_devices > 0) mp.devices = devices.data();
        mp.progress_callback           = [](float, void * c) { return !bp::poll_cancelled(c); };
        mp.progress_callback_user_data = cancel;

        auto m = std::make_unique<bp_model>();
        m->model.reset(llama_model_load_from_file(path, mp));
        bp::check_cancelled(cancel);
        if (!m->model) throw Error(BP_LOAD, bp::first_log("llama.cpp could not load the model"));
        *out = m.release();
    });
}

void bp_model_free(bp_model * m) { delete m; }

bp_cancel * bp_cancel_new(void) {
    return guarded_value<bp_cancel *>(nullptr, [] { return new bp_cancel; });
}

void bp_cancel_free(bp_cancel * c) { delete c; }
void bp_cancel_set(bp_cancel * c) { c->asked.store(true, std::memory_order_relaxed); }
void bp_cancel_clear(bp_cancel * c) { c->asked.store(false, std::memory_order_relaxed); }

bp_status bp_model_get_info(const bp_model * m, bp_model_info * info, bp_err * err) {
    return guarded(err, [&] {
        *info = bp_model_info{};
        const llama_vocab * v = vocab_of(m);
        info->n_vocab     = llama_vocab_n_tokens(v);
        info->n_layer     = llama_model_n_layer(m->model.get());
        info->n_embd      = llama_model_n_embd(m->model.get());
        info->n_ctx_train = llama_model_n_ctx_train(m->model.get());
        info->n_params    = llama_model_n_params(m->model.get());
        info->size        = llama_model_size(m->model.get());
        info->has_encoder = llama_model_has_encoder(m->model.get());
        info->has_decoder = llama_model_has_decoder(m->model.get());
        info->recurrent   = llama_model_is_recurrent(m->model.get());
        info->diffusion   = llama_model_is_diffusion(m->model.get());
        info->has_vocab   = llama_vocab_type(v) != LLAMA_VOCAB_TYPE_NONE;
        info->bos         = llama_vocab_bos(v);
        info->eos         = llama_vocab_eos(v);
        info->add_bos     = llama_vocab_get_add_bos(v);
        info->add_eos     = llama_vocab_get_add_eos(v);
        llama_model_desc(m->model.get(), info->desc, sizeof(info->desc));
        llama_model_meta_val_str(m->model.get(), "general.architecture", info->arch, sizeof(info->arch));
    });
}

const char * bp_model_chat_template(const bp_model * m) {
    return guarded_value<const char *>(nullptr, [&] { return llama_model_chat_template(m->model.get(), nullptr); });
}

int32_t bp_tokenize(const bp_model * m, const char * text, int32_t len, int32_t * tokens, int32_t cap, bool add_special, bool parse_special) {
    return guarded_value(INT32_MIN, [&] { return llama_tokenize(vocab_of(m), text, len, tokens, cap, add_special, parse_special); });
}

int32_t bp_piece(const bp_model * m, int32_t token, char * buf, int32_t cap, bool special) {
    return guarded_value(0, [&] { return llama_token_to_piece(vocab_of(m), token, buf, cap, 0, special); });
}

bool bp_is_eog(const bp_model * m, int32_t token) { return llama_vocab_is_eog(vocab_of(m), token); }

bool bp_to_float(int32_t ggml_type_id, const void * data, int64_t n, float * out) {
    if (ggml_type_id < 0 || ggml_type_id >= GGML_TYPE_COUNT) return false;
    const ggml_type type = ggml_type(ggml_type_id);
    if (type == GGML_TYPE_F32) {
        memcpy(out, data, size_t(n) * sizeof(float));
        return true;
    }
    const auto * traits = ggml_get_type_traits(type);
    if (!traits->to_float || traits->blck_size == 0 || n % traits->blck_size != 0) return false;
    return guarded_value(false, [&] {
        traits->to_float(data, out, n);
        return true;
    });
}
