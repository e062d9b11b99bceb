// linkprobe links what ggufprune links, so that CMake works out the link line for this machine, and shows that the seam
// holds: it decodes one token and counts how often libllama asked our function to allocate its graph.
//
//   linkprobe             exit 0: it links
//   linkprobe MODEL.gguf  exit 0: the hook was called exactly once
#include "ggml-backend.h"
#include "llama.h"

#include <cstdio>

static int hook_calls = 0;

extern "C" bool bp_sched_alloc_graph(ggml_backend_sched_t sched, ggml_cgraph * graph) {
    hook_calls++;
    return ggml_backend_sched_alloc_graph(sched, graph);
}

extern "C" void bp_tensor_get_async(ggml_backend_t backend, const ggml_tensor * tensor, void * data, size_t offset, size_t size) {
    ggml_backend_tensor_get_async(backend, tensor, data, offset, size);
}

static int fail(const char * what) {
    fprintf(stderr, "linkprobe: %s\n", what);
    return 1;
}

int main(int argc, char ** argv) {
    if (argc < 2) {
        return 0;
    }
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_model_params mparams = llama_model_default_params();
    mparams.n_gpu_layers = 0;
    llama_model * model = llama_model_load_from_file(argv[1], mparams);
    if (!model) {
        return fail("the model does not load");
    }
    llama_context_params cparams = llama_context_default_params();
    cparams.n_ctx = 32;
    llama_context * ctx = llama_init_from_model(model, cparams);
    if (!ctx) {
        return fail("no context");
    }
    llama_token token = 1;
    hook_calls = 0; // the context's constructor only reserves
    if (llama_decode(ctx, llama_batch_get_one(&token, 1)) != 0) {
        return fail("decode failed");
    }
    llama_free(ctx);
    llama_model_free(model);
    printf("hook calls: %d\n", hook_calls);
    return hook_calls == 1 ? 0 : fail("expected one call of the hook for one ubatch");
}
