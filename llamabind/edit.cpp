// Rewriting a built graph so that blocks are left out, with public ggml calls only.
//
//   1. drop   every branch edge of a removed block: its ADD is replaced by the other operand
//   2. start  replace the stream before a block by a copy that an earlier pass captured
//   3. nll    replace the logits by three numbers per row (nll.cpp)
//   4. live   find what the outputs need, and the cache writes that something live reads
//   5. build  clear the graph and add the live nodes in their ORIGINAL order: the order of cache writes and reads is nowhere
//             else than in it
//
// x + 0 == x, so the result is bit-identical to the model with the block's output projection set to zero.
#include "graph.h"

#include <algorithm>
#include <cstring>

namespace bp {

struct Rewrite {
    ggml_cgraph *                               gf;
    std::vector<Tensor>                         nodes;    // the original order
    std::unordered_map<const ggml_tensor *, Tensor> replaced;
    TensorSet                                   vanished; // nodes of which nothing is left: all that they add up was dropped
    TensorSet                                   live;
    std::unordered_map<const ggml_tensor *, std::vector<Tensor>> after; // captures, to be added right after a node

    explicit Rewrite(ggml_cgraph * g) : gf(g) {
        const int n = ggml_graph_n_nodes(gf);
        nodes.assign(ggml_graph_nodes(gf), ggml_graph_nodes(gf) + n);
    }

    Tensor resolve(Tensor t) const {
        for (;;) {
            auto it = replaced.find(t);
            if (it == replaced.end()) return t;
            t = it->second;
        }
    }

    void drop(const std::vector<Edge> & edges) {
        std::unordered_map<const ggml_tensor *, int> dropped; // ADD -> bits of its operands
        for (const Edge & e : edges) dropped[e.add] |= 1 << e.operand;
        for (Tensor t : nodes) {
            if (t->op == GGML_OP_ADD) {
                auto it   = dropped.find(t);
                int  bits = it == dropped.end() ? 0 : it->second;
                for (int i = 0; i < 2; i++) {
                    if (vanished.count(t->src[i])) bits |= 1 << i;
                }
                if (bits == 3) {
                    vanished.insert(t);
                } else if (bits != 0) {
                    replace_add(t, bits == 1 ? t->src[1] : t->src[0]);
                }
            } else if (passes_zero(t)) {
                vanished.insert(t);
            }
        }
    }

    // Ops under which a branch that is gone stays gone.
    bool passes_zero(const ggml_tensor * t) const {
        switch (t->op) {
            case GGML_OP_GET_ROWS: case GGML_OP_VIEW: case GGML_OP_RESHAPE: case GGML_OP_CONT: case GGML_OP_SCALE:
            case GGML_OP_MUL: case GGML_OP_PERMUTE:
                return vanished.count(t->src[0]) > 0;
            default:
                return false;
        }
    }

    void replace_add(Tensor add, Tensor by) {
        if (!ggml_are_same_shape(add, by) || add->type != by->type) {
            throw Error(BP_UNSUPPORTED_ARCH, std::string("the stream changes its shape at ") + add->name);
        }
        replaced[add] = by;
    }

    void mark(Tensor t) {
        std::vector<Tensor> todo{t};
        while (!todo.empty()) {
            Tensor x = todo.back();
            todo.pop_back();
            if (!x) continue;
            x = resolve(x);
            if (vanished.count(x)) throw Error(BP_UNSUPPORTED_ARCH, std::string("the op ") + ggml_op_desc(x) + " needs the output of a removed block");
            if (!live.insert(x).second) continue;
            for (Tensor src : x->src) todo.push_back(src);
            if (x->view_src) todo.push_back(x->view_src);
        }
    }

    // A write into a root is live when a live op reads that root and is not itself a write to it. To a fixpoint: a write that
    // becomes live has inputs that may read other caches.
    void mark_writes() {
        for (bool changed = true; changed;) {
            changed = false;
            TensorSet read;
            for (Tensor t : nodes) {
                if (!live.count(t) || is_view_op(t)) continue;
                Tensor own = is_write(t) ? resolve(t->view_src) : nullptr;
                for (Tensor src : t->src) {
                    if (!src) continue;
                    Tensor root = resolve(root_of(resolve(src)));
                    if (root != own) read.insert(root);
                }
            }
            for (Tensor t : nodes) {
                if (!is_write(t) || live.count(t) || vanished.count(t) || replaced.count(t)) continue;
                if (read.count(resolve(t->view_src))) {
                    mark(t);
                    changed = true;
                }
            }
        }
    }

    // Points the sources of live nodes at what replaced them.
    void rewire() {
        for (Tensor t : nodes) {
            if (!live.count(t)) continue;
            for (Tensor & src : t->src) {
                if (src) src = resolve(src);
            }
            if (!t->view_src) continue;
            Tensor to = resolve(t->view_src);
            if (to == t->view_src) continue;
            if (!ggml_is_contiguous(to)) throw Error(BP_UNSUPPORTED_ARCH, std::string("a view of the stream that is not contiguous: ") + t->name);
            if (!is_view_op(t) && is_leaf(to)) throw Error(BP_UNSUPPORTED_ARCH, std::string("an op works in place on the stream: ") + t->name);
            t->view_offs += to->view_offs;
            t->view_src   = root_of(to);
        }
    }

    // The same for the tensors that the edit made, which are not among the nodes.
    void rewire_new(ggml_context * headers) const {
        for (Tensor t = ggml_get_first_tensor(headers); t; t = ggml_get_next_tensor(headers, t)) {
            for (Tensor & src : t->src) {
                if (src) src = resolve(src);
            }
            if (t->view_src && !is_leaf(t)) t->view_src = root_of(resolve(t->view_src));
        }
    }

    void build(const std::vector<Tensor> & outputs) {
        std::vector<Tensor> inputs; // llama.cpp writes all of them, needed or not
        std::vector<Tensor> idle;   // nodes that were in the graph without being computed stay so
        for (Tensor t : nodes) {
            for (Tensor src : t->src) {
                if (src && is_leaf(src) && (src->flags & GGML_TENSOR_FLAG_INPUT)) inputs.push_back(src);
            }
            if (!(t->flags & GGML_TENSOR_FLAG_COMPUTE)) idle.push_back(t);
        }
        ggml_graph_clear(gf);
        for (Tensor t : inputs) ggml_build_forward_expand(gf, t);
        for (Tensor t : nodes) {
            if (!live.count(t)) continue;
            ggml_build_forward_expand(gf, t);
            auto it = after.find(t);
            if (it == after.end()) continue;
            for (Tensor c : it->second) ggml_build_forward_expand(gf, c);
        }
        for (Tensor t : outputs) ggml_build_forward_expand(gf, t);
        for (Tensor t : idle) {
            if (!live.count(t)) t->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
        }
    }
};

namespace {

// The plain buffer type of the device that holds a block's weights: its boundary is needed there.
ggml_backend_buffer_type_t device_buffer_type(ggml_cgraph * gf, const Block & b) {
    for (int i = 0; !b.weights.empty() && i < ggml_graph_n_nodes(gf); i++) {
        for (Tensor src : ggml_graph_node(gf, i)->src) {
            if (!src || !is_leaf(src) || !src->buffer || b.weights[0] != src->name) continue;
            ggml_backend_dev_t dev = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(src->buffer));
            if (dev) return ggml_backend_dev_buffer_type(dev);
        }
    }
    return ggml_backend_dev_buffer_type(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
}

// llama.cpp asks for the backend of its logits tensor: one that is not computed stays in the graph as an input of one element.
void reduce_to_input(Tensor t) {
    t->op = GGML_OP_NONE;
    std::fill(std::begin(t->src), std::end(t->src), nullptr);
    t->view_src = nullptr;
    t->flags    = GGML_TENSOR_FLAG_INPUT;
    for (int i = 0; i < GGML_MAX_DIMS; i++) {
        t->ne[i] = 1;
        t->nb[i] = ggml_type_size(t->type);
    }
}

} // namespace

static const size_t tap_headers = 8; // tensor headers of one tap at most

void Editor::apply(ggml_cgraph * gf, Request & req) {
    Analysis a = analyse(gf);
    if (!reference.empty() && a.blocks.size() != reference.size()) {
        throw Error(BP_UNSUPPORTED_ARCH, "the graph of this batch has other blocks than the one the session was opened with");
    }
    if (reference.empty()) {
        reference = a.blocks;
        weights   = a.loaded_weights(gf);
    }
    const size_t n = a.blocks.size();

    headers.reset(); // before the new ones: they are not needed at the same time
    headers.reset(ggml_init({(2*n + 16 + tap_headers * req.taps.size() + nll_headers(req.n_rows)) * ggml_tensor_overhead(), nullptr, true}));
    if (!headers) throw Error(BP_OOM, "no memory for tensor headers");
    targets_.clear();

    Rewrite rw(gf);
    std::vector<Edge> edges;
    for (size_t i = 0; req.removed && i < req.removed->size(); i++) {
        if ((*req.removed)[i]) edges.insert(edges.end(), a.blocks[i].edges.begin(), a.blocks[i].edges.end());
    }
    rw.drop(edges);

    stream_ = nullptr;
    if (req.start >= 0) start(gf, a, req, rw);
    std::vector<Tensor> outputs;
    if (!req.capture.empty()) capture(gf, a, req, rw, outputs);
    for (Tap & t : req.taps) tap(gf, a, t, rw, outputs);

    req.logits = a.logits;
    if (req.capture_only) {
        req.no_logits = true;
    } else if (req.targets) {
        const bool chunked = build_nll(headers.get(), a.logits, req, targets_, outputs);
        for (Tensor t : outputs) rw.mark(t);
        req.no_logits = chunked;
    } else {
        rw.mark(a.logits);
    }
    rw.mark_writes();
    rw.rewire();
    rw.rewire_new(headers.get());
    if (req.no_logits) {
        reduce_to_input(a.logits);
        outputs.push_back(a.logits);
    }
    rw.build(outputs);
}

// Puts a kept stream in the place of the one before block req.start. Both are (n_embd, positions) in single precision.
void Editor::start(ggml_cgraph * gf, const Analysis & a, Request & req, Rewrite & rw) {
    const size_t n    = a.blocks.size();
    Tensor       from = rw.resolve(size_t(req.start) < n ? a.blocks[req.start].boundary : a.end);
    Tensor       kept = nullptr;
    if (req.stream) {
        if (from->type != GGML_TYPE_F32 || size_t(ggml_nelements(from)) != req.stream->size()) {
            throw Error(BP_UNSUPPORTED_ARCH, "the residual stream does not have one row in single precision for each position");
        }
        kept = stream_ = cache.create(headers.get(), int(n) + 1, from, device_buffer_type(gf, a.blocks[std::min(size_t(req.start), n - 1)]));
    } else {
        const int slot = size_t(req.start) < cache.slot_of.size() ? cache.slot_of[req.start] : -1;
        if (slot < 0) throw Error(BP_STALE_CACHE, "the boundary of this block was not captured");
        kept = cache.open(headers.get(), slot);
        if (!ggml_are_same_shape(from, kept)) throw Error(BP_STALE_CACHE, "the captured boundary has another shape");
    }
    rw.replaced[from] = kept;
}

// Copies the boundaries that are asked for to the cache: (n_embd, positions) each.
void Editor::capture(ggml_cgraph * gf, const Analysis & a, Request & req, Rewrite & rw, std::vector<Tensor> & outputs) {
    const size_t n = a.blocks.size();
    cache.forget();
    cache.slot_of.assign(n + 1, -1);
    std::unordered_map<const ggml_tensor *, int> slot_of_tensor;
    for (size_t i = 0; i < req.capture.size(); i++) {
        if (!req.capture[i]) continue;
        Tensor from       = rw.resolve(i < n ? a.blocks[i].boundary : a.end);
        auto [it, fresh]  = slot_of_tensor.insert({from, int(i)});
        cache.slot_of[i]  = it->second;
        if (!fresh) continue;
        Tensor to = cache.create(headers.get(), int(i), from, device_buffer_type(gf, a.blocks[std::min(i, n - 1)]));
        Tensor cp = ggml_cpy(headers.get(), from, to);
        rw.mark(from);
        if (is_leaf(from)) outputs.push_back(cp);
        else               rw.after[from].push_back(cp);
    }
}

// Copies what a tap is about, and leaves the copies in t: input (k, positions) or (k, used, positions), ids (used, positions), and the
// factors as they are.
void Editor::tap(ggml_cgraph * gf, const Analysis & a, Tap & t, Rewrite & rw, std::vector<Tensor> & outputs) {
    t = a.tap(gf, t.weight);
    if (t.refused.empty() && t.factors.size() + 2 > tap_headers) t.refused = "its output projection's product is multiplied too often";
    if (!t.refused.empty()) return;
    auto copy = [&](Tensor & x) {
        Tensor from = rw.resolve(x);
        x           = ggml_cont(headers.get(), from);
        ggml_set_output(x);
        rw.mark(from);
        if (is_leaf(from)) outputs.push_back(x);
        else               rw.after[from].push_back(x);
    };
    copy(t.input);
    if (t.ids) copy(t.ids);
    for (Tensor & f : t.factors) copy(f);
}

// Writes the stream, (n_embd, positions), and the targets, (k, n_rows) in chunks of rows, to the tensors that wait for them.
void Editor::upload(const Request & req) {
    if (stream_) ggml_backend_tensor_set(stream_, req.stream->data(), 0, ggml_nbytes(stream_));
    int64_t row = 0;
    for (Tensor t : targets_) {
        const int64_t n = ggml_nelements(t);
        ggml_backend_tensor_set(t, req.targets + row, 0, n * sizeof(int32_t));
        row += n;
    }
}

void BoundaryCache::forget() { slot_of.clear(); }

Tensor BoundaryCache::create(ggml_context * ctx, int slot, const ggml_tensor * like, ggml_backend_buffer_type_t buft) {
    if (size_t(slot) >= slots.size()) slots.resize(slot + 1);
    Slot & s = slots[slot];
    s.type   = like->type;
    std::copy(like->ne, like->ne + GGML_MAX_DIMS, s.ne);

    Tensor       t    = ggml_new_tensor(ctx, s.type, GGML_MAX_DIMS, s.ne);
    const size_t need = ggml_backend_buft_get_alloc_size(buft, t);
    if (need > s.size) {
        s.buffer.reset(); // before the new one: the device may not hold both
        s.size = 0;
        s.buffer.reset(ggml_backend_buft_alloc_buffer(buft, need));
        if (!s.buffer) throw Error(BP_OOM, "no memory for a copy of the residual stream (" + std::to_string(need >> 20) + " MiB)");
        s.size = need;
    }
    ggml_backend_tensor_alloc(s.buffer.get(), t, ggml_backend_buffer_get_base(s.buffer.get()));
    return t;
}

Tensor BoundaryCache::open(ggml_context * ctx, int slot) const {
    const Slot & s = slots[slot];
    Tensor       t = ggml_new_tensor(ctx, s.type, GGML_MAX_DIMS, s.ne);
    ggml_backend_tensor_alloc(s.buffer.get(), t, ggml_backend_buffer_get_base(s.buffer.get()));
    return t;
}

std::vector<float> BoundaryCache::read(int slot) const {
    const ggml_context_ptr ctx(ggml_init({ggml_tensor_overhead() * 2, nullptr, true}));
    if (!ctx || slots[slot].type != GGML_TYPE_F32) throw Error(BP_UNSUPPORTED_ARCH, "the residual stream is not in single precision");
    Tensor             t = open(ctx.get(), slot);
    std::vector<float> out(ggml_nelements(t));
    ggml_backend_tensor_get(t, out.data(), 0, ggml_nbytes(t));
    return out;
}

} // namespace bp
