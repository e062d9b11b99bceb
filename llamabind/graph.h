// Internal types of the graph edit. Not seen by Go.
//
// Shapes of tensors are in ggml's order, the dimension that runs fastest first; those of arrays on the host are in C's order, rows
// first. (n_embd, positions) and (positions, n_embd) are the same bytes.
#pragma once

#include "edge.h"
#include "own.h"

#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace bp {

using Tensor    = ggml_tensor *;
using TensorSet = std::unordered_set<const ggml_tensor *>;

inline bool is_leaf(const ggml_tensor * t) { return t->op == GGML_OP_NONE; }

// True for ops which only describe other memory.
inline bool is_view_op(const ggml_tensor * t) {
    return t->op == GGML_OP_VIEW || t->op == GGML_OP_RESHAPE || t->op == GGML_OP_PERMUTE || t->op == GGML_OP_TRANSPOSE;
}

// The tensor whose memory t names: ggml keeps view_src at the root of a chain of views.
inline Tensor root_of(Tensor t) { return t->view_src ? t->view_src : t; }

// A node that writes into memory of another tensor (a cache, a recurrent state, an in-place op).
inline bool is_write(const ggml_tensor * t) { return t->view_src && !is_view_op(t) && !is_leaf(t); }

enum class Kind : int32_t { Mixer = 0, FFN = 1, Other = 2 };

// Edge is one operand of an ADD through which a block's output enters the residual stream.
struct Edge {
    Tensor add;
    int    operand;
};

// Block is one residual block of the model: x <- x + block(norm(x)).
struct Block {
    int                      layer = -1;
    Kind                     kind  = Kind::Other;
    std::vector<Edge>        edges;
    std::vector<std::string> weights;            // its matrices and biases, by tensor name
    Tensor                   boundary = nullptr; // (n_embd, positions): the residual stream right before the block
};

// Tap is what the matrix of a weight is multiplied with, and what becomes of the product on its way into the residual stream: it is
// multiplied with a number for each position, or for each expert of it, and things are added; or it is normed and multiplied with a
// weight, and nothing else. Anything else is refused.
struct Tap {
    std::string         weight;
    std::string         refused;             // why there is no tap; the rest is then empty
    Tensor              input = nullptr;     // (k, positions), of experts (k, used, positions)
    Tensor              ids   = nullptr;     // the experts: i32 (used, positions); null: one matrix for all positions
    std::vector<Tensor> factors;             // of one element, of one for each position, or for each expert of it
    float               scale = 1.0f;        // a further factor
    size_t              bias_factors = 0;    // how many of factors come before the bias, and do not act on it
    float               bias_scale   = 1.0f; // what of scale acts on it
    bool                normed       = false;
    float               eps          = 0.0f; // of the RMS norm
    Tensor              norm         = nullptr; // f32 (n_embd), the weight of the norm
};

// Analysis is what the walk over one built graph finds. Pointers are valid as long as that graph.
struct Analysis {
    std::vector<Block> blocks; // front to back, mixer before FFN
    Tensor             logits = nullptr; // (vocab, n_rows)
    Tensor             end    = nullptr; // (n_embd, positions): the stream behind the last block
    TensorSet          trunk;            // the residual stream

    // Follows the product of the weight of this name into the stream.
    Tap tap(ggml_cgraph * gf, const std::string & weight) const;

    // The tensors behind the names of the blocks' weights. They live as long as the model.
    std::unordered_map<std::string, Tensor> loaded_weights(ggml_cgraph * gf) const;
};

// analyse finds the residual blocks of a graph by its structure; no code for any architecture. Throws UNSUPPORTED_ARCH.
Analysis analyse(ggml_cgraph * gf);

// Request is one edited decode: what to leave out, where to start, what to keep.
struct Request {
    const std::vector<uint8_t> * removed = nullptr; // per block; null: identity
    int                          start   = -1;      // block from whose cached boundary to start; -1: from the embeddings
    std::vector<uint8_t>         capture;           // per block: copy its boundary into the cache; one more: the stream's end
    const int32_t *              targets = nullptr; // k ids per output row; null: leave the logits as they are
    int32_t                      k       = 1;
    int32_t                      n_rows  = 0;
    bool                         look_only    = false; // edit nothing: refuse what llama.cpp's kernels would abort on
    bool                         capture_only = false; // stop at the last captured boundary: no head, no losses
    const std::vector<float> *   stream    = nullptr;  // (positions, n_embd): the residual stream at start, in place of a captured one
    std::vector<Tap>             taps;                 // weights whose inputs are wanted; the rest is filled by the hook, with copies

    // filled by the hook
    int    n_calls = 0;
    Tensor logits  = nullptr;               // llama.cpp's logits tensor
    bool   no_logits = false;               // it is not computed and must not be copied
    struct Rows { Tensor lmax, lt, pmax; }; // per chunk of n rows: (n), (k, n), (n); -log q(target) = lmax - log(pmax) - lt
    std::vector<Rows>        rows;
    std::exception_ptr       error;         // what the edit threw, for the caller of llama_decode
};

// BoundaryCache holds the residual stream before blocks, on the device of the block, from the last base pass. Boundaries that
// coincide (the block before is removed) share one slot.
struct BoundaryCache {
    struct Slot {
        ggml_backend_buffer_ptr buffer;
        size_t                  size = 0; // bytes of buffer
        ggml_type               type = GGML_TYPE_F32;
        int64_t                 ne[GGML_MAX_DIMS] = {0, 0, 0, 0}; // (n_embd, positions), as the model's graph has them
    };
    std::vector<Slot> slots;   // by block
    std::vector<int>  slot_of; // block -> slot of the current base pass, -1: not captured

    void   forget();
    Tensor create(ggml_context * ctx, int slot, const ggml_tensor * like, ggml_backend_buffer_type_t buft); // sized as like
    Tensor open(ggml_context * ctx, int slot) const; // a tensor in ctx on the slot's buffer
    std::vector<float> read(int slot) const;         // to the host: (positions, n_embd)
};

struct Rewrite; // edit.cpp

// Editor owns what must outlive one decode.
struct Editor {
    std::vector<Block> reference; // the session's blocks, found when it was opened
    std::unordered_map<std::string, Tensor> weights; // their weights in the loaded model
    BoundaryCache      cache;
    ggml_context_ptr   headers; // tensor headers of the last edit

    // apply rewrites gf in place for req and remembers the new outputs in req.
    void apply(ggml_cgraph * gf, Request & req);
    // upload fills the inputs that apply added, once the graph is allocated.
    void upload(const Request & req);

private:
    void start(ggml_cgraph * gf, const Analysis & a, Request & req, Rewrite & rw);
    void capture(ggml_cgraph * gf, const Analysis & a, Request & req, Rewrite & rw, std::vector<Tensor> & outputs);
    void tap(ggml_cgraph * gf, const Analysis & a, Tap & t, Rewrite & rw, std::vector<Tensor> & outputs);

    std::vector<Tensor> targets_;           // i32 inputs, one per chunk of rows
    Tensor              stream_ = nullptr;  // where the request's stream goes
};

// build_nll adds the three numbers per row from which the NLL follows, and appends the new output tensors. logits is (vocab,
// n_rows); each of targets, which it appends, is (k * n) ids for a chunk of n rows. True when it works on chunks of rows without
// the logits tensor itself, which is then to be taken out of the graph.
bool build_nll(ggml_context * ctx, Tensor logits, Request & req, std::vector<Tensor> & targets, std::vector<Tensor> & outputs);

// The number of tensor headers that build_nll needs at most.
size_t nll_headers(int32_t n_rows);

// check_kernels refuses a graph on which llama.cpp v0.5.0 is known to abort in a worker thread, where no error can be raised.
void check_kernels(ggml_cgraph * gf);

// Armed arms the hook for (editor, req) on this thread while it lives.
struct Armed {
    Armed(Editor * editor, Request * req);
    ~Armed();
};

} // namespace bp
