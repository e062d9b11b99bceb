// The seam: the build compiles llama.cpp's src/llama-context.cpp a second time with two calls renamed to the functions below
// (third_party/llama.cpp/CMakeLists.txt). libllama builds its graph as ever and asks us to allocate it; we edit the graph and
// call the real function. Unarmed, both pass through.
#include "graph.h"

#include <cstring>

namespace {

thread_local bp::Editor *  current_editor  = nullptr;
thread_local bp::Request * current_request = nullptr;

} // namespace

namespace bp {

void check_kernels(ggml_cgraph * gf) {
    for (int i = 0; i < ggml_graph_n_nodes(gf); i++) {
        const ggml_tensor * t = ggml_graph_node(gf, i);
        // The repacked CPU kernels take one matrix at a time (ggml-cpu/repack.cpp); MLA gives them one for each sequence.
        if (t->op != GGML_OP_MUL_MAT || !t->src[0]->buffer || t->src[1]->ne[3] == 1) continue;
        const char * name = ggml_backend_buft_name(ggml_backend_buffer_get_type(t->src[0]->buffer));
        if (strstr(name, "REPACK")) {
            throw Error(BP_BAD_INPUT, std::string("llama.cpp's repacked weights cannot run several sequences of this model at once (") +
                        t->src[0]->name + "); use --no-repack, or one sequence per batch");
        }
    }
}

Armed::Armed(Editor * editor, Request * req) {
    current_editor  = editor;
    current_request = req;
}
Armed::~Armed() {
    current_editor  = nullptr;
    current_request = nullptr;
}

} // namespace bp

extern "C" bool bp_sched_alloc_graph(ggml_backend_sched_t sched, ggml_cgraph * gf) {
    bp::Request * req = current_request;
    if (!req) return ggml_backend_sched_alloc_graph(sched, gf);
    if (++req->n_calls > 1) {
        req->error = std::make_exception_ptr(bp::Error(BP_HOOK_NOT_CALLED, "llama.cpp split the batch into more than one graph"));
        return false;
    }
    // What is thrown is kept for the caller and its edge: llama.cpp only hears that the allocation failed.
    try {
        bp::check_kernels(gf);
        if (!req->look_only) current_editor->apply(gf, *req);
        if (!ggml_backend_sched_alloc_graph(sched, gf)) throw bp::Error(BP_OOM, "the edited graph could not be allocated");
        if (!req->look_only) current_editor->upload(*req);
        return true;
    } catch (...) {
        req->error = std::current_exception();
        return false;
    }
}

extern "C" void bp_tensor_get_async(ggml_backend_t backend, const ggml_tensor * t, void * data, size_t offset, size_t size) {
    if (current_request && current_request->no_logits && t == current_request->logits) return;
    ggml_backend_tensor_get_async(backend, t, data, offset, size);
}
