// What leaves the shim when something throws in it, and what is left behind: edge_test.go compiles this and knows what it prints.
// llama.cpp gives no way to make it fail where it counts, so edit.cpp is compiled here with allocators that count and that fail.
#include "ggml.h"
#include "ggml-backend.h"

#include <cstdio>
#include <cstring>
#include <new>

static int  contexts = 0, buffers = 0; // alive
static bool fail_buffers = false;

static ggml_context * counted_init(ggml_init_params p) {
    contexts++;
    return ggml_init(p);
}
static void counted_free(ggml_context * c) {
    if (c) contexts--;
    ggml_free(c);
}
static ggml_backend_buffer_t counted_alloc(ggml_backend_buffer_type_t t, size_t n) {
    if (fail_buffers) ggml_abort("backend.c", 7, "cannot allocate %d bytes", int(n));
    buffers++;
    return ggml_backend_buft_alloc_buffer(t, n);
}
static void counted_buffer_free(ggml_backend_buffer_t b) {
    if (b) buffers--;
    ggml_backend_buffer_free(b);
}

#define ggml_init                      counted_init
#define ggml_free                      counted_free
#define ggml_backend_buft_alloc_buffer counted_alloc
#define ggml_backend_buffer_free       counted_buffer_free
#include "../edit.cpp"

// What edit.cpp calls of its neighbours, and this does not.
namespace bp {
Analysis analyse(ggml_cgraph *) { return {}; }
Tap      Analysis::tap(ggml_cgraph *, const std::string &) const { return {}; }
size_t   nll_headers(int32_t) { return 0; }
bool     build_nll(ggml_context *, Tensor, Request &, std::vector<Tensor> &, std::vector<Tensor> &) { return false; }
std::unordered_map<std::string, Tensor> Analysis::loaded_weights(ggml_cgraph *) const { return {}; }
} // namespace bp

template <typename F> static void edge(const char * name, bp_status otherwise, F && body) {
    bp_err err;
    strcpy(err.text, "of the call before");
    const bp_status st = bp::guarded(&err, otherwise, body);
    printf("%s: %d %.60s\n", name, int(st), err.text);
}

static void edges() {
    edge("nothing", BP_LOAD, [] {});
    edge("an Error", BP_LOAD, [] { throw bp::Error(BP_DECODE, "llama_decode failed"); });
    edge("an internal Error", BP_LOAD, [] { throw bp::Error(BP_INTERNAL, "why"); });
    edge("an assertion", BP_INTERNAL, [] { ggml_abort("file.c", 12, "boom %d", 3); });
    edge("an assertion while loading", BP_LOAD, [] { ggml_abort("file.c", 12, "boom %d", 3); });
    edge("bad_alloc", BP_LOAD, [] { throw std::bad_alloc(); });
    edge("another exception", BP_BAD_INPUT, [] { throw std::out_of_range("too far"); });
    edge("no exception at all", BP_INTERNAL, [] { throw 7; });
    edge("kept in the hook", BP_INTERNAL, [] {
        std::exception_ptr kept;
        try {
            throw bp::Error(BP_STALE_CACHE, "not captured");
        } catch (...) {
            kept = std::current_exception();
        }
        std::rethrow_exception(kept);
    });
    bp_err err;
    bp::guarded(&err, [] { throw std::runtime_error(std::string(5000, 'x')); });
    printf("a long text: %zu\n", strlen(err.text));
    printf("values: %d %d\n", bp::guarded_value(1, [] { return 2; }), bp::guarded_value(1, []() -> int { throw 7; }));
}

static void boundary_cache() {
    bp_err err;
    {
        bp::Editor          editor;
        bp::BoundaryCache & cache = editor.cache;
        editor.headers.reset(counted_init({ggml_tensor_overhead() * 8, nullptr, true}));
        ggml_tensor *  like = ggml_new_tensor_2d(editor.headers.get(), GGML_TYPE_F32, 8, 3);
        ggml_tensor *  t    = cache.create(editor.headers.get(), 0, like, ggml_backend_cpu_buffer_type());
        const float    last = 1.5f;
        ggml_backend_tensor_set(t, &last, 23 * sizeof(float), sizeof(float));
        printf("read: %g of %zu\n", cache.read(0)[23], cache.read(0).size());

        cache.slots[0].type = GGML_TYPE_F16;
        edge("a stream in half precision", BP_INTERNAL, [&] { cache.read(0); });
        printf("left: %d context, %d buffer\n", contexts, buffers);

        cache.slots[0].type = GGML_TYPE_F32;
        cache.slots[0].ne[1] = 1000000; // larger than its buffer
        edge("a tensor out of its buffer", BP_INTERNAL, [&] { cache.read(0); });
        printf("left: %d context, %d buffer\n", contexts, buffers);

        ggml_tensor * larger = ggml_new_tensor_2d(editor.headers.get(), GGML_TYPE_F32, 8, 3000);
        fail_buffers = true;
        bp::guarded(&err, [&] { cache.create(editor.headers.get(), 0, larger, ggml_backend_cpu_buffer_type()); });
        printf("no buffer: %s\n", err.text);
        printf("left: %d context, %d buffers\n", contexts, buffers);
    }
    printf("left: %d contexts, %d buffers\n", contexts, buffers);
}

int main() {
    edges();
    boundary_cache();
}
