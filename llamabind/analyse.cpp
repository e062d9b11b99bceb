// Finding the residual blocks in a graph that llama.cpp built, by structure alone.
//
// The walk goes from the logits back to the embeddings along the residual stream, the trunk. Everything that touches the trunk
// is an elementwise or row-wise op, or an ADD. At an ADD one addend is the stream as it was before (the skip) and the others
// were computed from it (the branches): the skip is a strict ancestor of all of them. That is a residual join, and its branches
// are the blocks' outputs. What a branch is (a mixer, an FFN) follows from the names of the weights in its cone: its ancestors
// up to the trunk. In the end every block weight that the graph uses must have been found in some cone, else the graph is not
// understood and the model is refused.
#include "graph.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

namespace bp {

namespace {

[[noreturn]] void unsupported(const std::string & why) { throw Error(BP_UNSUPPORTED_ARCH, why); }

// WeightName is what the name of a weight says: `blk.<layer>.<rest>`.
struct WeightName {
    int  layer  = -1;
    Kind kind   = Kind::Other;
    bool strong = false; // decides what a block is. Norms, gates of side inputs, scales do not: their names lie (dbrx).
};

bool starts_with(const char * s, const char * prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

WeightName parse_weight(const ggml_tensor * t) {
    WeightName w;
    if (!is_leaf(t)) return w;
    int used = 0;
    if (sscanf(t->name, "blk.%d.%n", &w.layer, &used) != 1 || used == 0) {
        w.layer = -1;
        return w;
    }
    const char * rest = t->name + used;
    if (strstr(rest, "norm")) return w;
    static const char * weak[] = {"exp_probs_b", "per_layer", "inp_gate", "proj.", "laurel", "altup", "hc_", "layer_output_scale", "rope_"};
    for (const char * p : weak) {
        if (starts_with(rest, p)) return w;
    }
    static const char * mixer[] = {"attn_", "ssm_", "shortconv", "time_mix_", "indexer"};
    static const char * ffn[]   = {"ffn_", "channel_mix_"};
    for (const char * p : mixer) {
        if (starts_with(rest, p)) { w.kind = Kind::Mixer; w.strong = true; }
    }
    for (const char * p : ffn) {
        if (starts_with(rest, p)) { w.kind = Kind::FFN; w.strong = true; }
    }
    return w;
}

// Branch is one addend of a join other than the skip.
struct Branch {
    Edge   edge;
    Tensor operand() const { return edge.add->src[edge.operand]; }
};

struct Join {
    Tensor              add;  // the stream after
    Tensor              skip; // the stream before, as the ADD sees it
    Tensor              base; // the same, behind the ops that only pick or move rows
    std::vector<Branch> branches;
};

struct Walker {
    ggml_cgraph *                                 gf;
    std::unordered_map<const ggml_tensor *, int>  pos;     // node -> index in the graph
    std::vector<char>                             strong_; // node has a strong weight among its ancestors
    std::unordered_map<const ggml_tensor *, int>  uses;    // number of nodes that read a tensor
    std::unordered_map<const ggml_tensor *, std::vector<Tensor>> writers; // leaf -> nodes that write into it
    TensorSet                                     trunk;
    std::vector<Join>                             joins;   // back to front while walking

    explicit Walker(ggml_cgraph * g) : gf(g) {
        const int n = ggml_graph_n_nodes(gf);
        strong_.resize(n);
        for (int i = 0; i < n; i++) {
            Tensor t = ggml_graph_node(gf, i);
            pos[t] = i;
            bool s = false;
            for (Tensor src : t->src) {
                if (!src) continue;
                uses[src]++;
                s = s || strong(src);
            }
            strong_[i] = s;
            if (is_write(t) && is_leaf(t->view_src)) writers[t->view_src].push_back(t);
        }
    }

    int position(const ggml_tensor * t) const {
        auto it = pos.find(t);
        return it == pos.end() ? -1 : it->second;
    }

    bool strong(const ggml_tensor * t) const {
        const int p = position(t);
        return p >= 0 ? strong_[p] : parse_weight(t).strong;
    }

    // True when a is an ancestor of t other than t. Nodes in front of a cannot lead to it, which keeps the search short.
    bool is_strict_ancestor(const ggml_tensor * a, Tensor t) const {
        if (a == t) return false;
        const int          floor = position(a);
        TensorSet          seen;
        std::vector<Tensor> todo{t};
        while (!todo.empty()) {
            Tensor x = todo.back();
            todo.pop_back();
            for (Tensor src : x->src) {
                if (!src) continue;
                if (src == a) return true;
                if (position(src) > floor && seen.insert(src).second) todo.push_back(src);
            }
        }
        return false;
    }

    // The stream behind ops that select or rearrange it (the last layer keeps only the rows that have outputs).
    static Tensor base(Tensor t, std::vector<Tensor> * path = nullptr) {
        for (;;) {
            switch (t->op) {
                case GGML_OP_VIEW: case GGML_OP_RESHAPE: case GGML_OP_CONT: case GGML_OP_SCALE: case GGML_OP_GET_ROWS:
                    if (is_leaf(t->src[0])) return t;
                    if (path) path->push_back(t);
                    t = t->src[0];
                    break;
                default:
                    return t;
            }
        }
    }

    // Looks for a skip among the addends; expands addends that are ADDs themselves, one at a time and at most four deep.
    bool find_join(std::vector<Edge> addends, std::vector<Tensor> adds, int depth, Join & out) {
        auto value = [](const Edge & e) { return e.add->src[e.operand]; };
        for (size_t s = 0; s < addends.size(); s++) {
            Tensor skip = value(addends[s]);
            if (is_leaf(skip)) continue;
            Tensor b      = base(skip);
            int    others = 0;
            bool   ok     = true;
            for (size_t o = 0; ok && o < addends.size(); o++) {
                Tensor v = value(addends[o]);
                if (o == s || is_leaf(v)) continue;
                others++;
                ok = is_strict_ancestor(b, v);
            }
            if (!ok || others == 0) continue;
            out.skip = skip;
            out.base = b;
            for (size_t o = 0; o < addends.size(); o++) {
                if (o != s) out.branches.push_back({addends[o]});
            }
            for (Tensor a : adds) trunk.insert(a);
            return true;
        }
        if (depth == 4) return false;
        for (size_t i = 0; i < addends.size(); i++) {
            Tensor v = value(addends[i]);
            if (v->op != GGML_OP_ADD) continue;
            std::vector<Edge> more = addends;
            more[i] = {v, 0};
            more.push_back({v, 1});
            std::vector<Tensor> path = adds;
            path.push_back(v);
            if (find_join(more, path, depth + 1, out)) return true;
        }
        return false;
    }

    // The one operand through which the stream enters an op that keeps rows apart, or null.
    Tensor only_strong_operand(Tensor t) const {
        Tensor found = nullptr;
        for (Tensor src : t->src) {
            if (!src || !strong(src)) continue;
            if (found && found != src) return nullptr;
            found = src;
        }
        return found;
    }

    void walk(Tensor cur) {
        // Nothing of a block lies behind a tensor without a strong weight: the embeddings.
        while (!is_leaf(cur) && strong(cur)) {
            trunk.insert(cur);
            switch (cur->op) {
                case GGML_OP_ADD: {
                    Join j;
                    j.add = cur;
                    if (find_join({{cur, 0}, {cur, 1}}, {cur}, 0, j)) {
                        std::vector<Tensor> path;
                        base(j.skip, &path);
                        for (Tensor t : path) trunk.insert(t);
                        trunk.insert(j.base);
                        joins.push_back(j);
                        cur = j.base;
                        continue;
                    }
                    break;
                }
                case GGML_OP_MUL_MAT:
                    if (strong(cur->src[0])) unsupported("the residual stream is multiplied by itself");
                    break;
                case GGML_OP_MUL: case GGML_OP_DIV: case GGML_OP_SUB: case GGML_OP_RMS_NORM: case GGML_OP_NORM:
                case GGML_OP_L2_NORM: case GGML_OP_SCALE: case GGML_OP_UNARY: case GGML_OP_CONT: case GGML_OP_VIEW:
                case GGML_OP_RESHAPE: case GGML_OP_PERMUTE: case GGML_OP_TRANSPOSE: case GGML_OP_CPY: case GGML_OP_CLAMP:
                case GGML_OP_GET_ROWS:
                    break;
                default:
                    unsupported(std::string("the residual stream passes through the op ") + ggml_op_desc(cur));
            }
            Tensor next = only_strong_operand(cur);
            if (!next) {
                unsupported(std::string("two streams meet in the op ") + ggml_op_desc(cur) + " (" + cur->name + ") and neither is the skip of the other");
            }
            cur = next;
        }
        trunk.insert(cur);
        std::reverse(joins.begin(), joins.end());
    }

    // Weights in the cone of t: its ancestors up to the trunk. With through_caches, also what was written into the caches
    // that the cone reads: K and V reach the attention only that way.
    void cone(Tensor t, bool through_caches, std::vector<Tensor> & weights) const {
        TensorSet           seen;
        std::vector<Tensor> todo{t};
        while (!todo.empty()) {
            Tensor x = todo.back();
            todo.pop_back();
            if (!x || !seen.insert(x).second || trunk.count(x)) continue;
            if (is_leaf(x)) {
                if (parse_weight(x).strong) weights.push_back(x);
                auto it = writers.find(x);
                if (through_caches && it != writers.end()) todo.insert(todo.end(), it->second.begin(), it->second.end());
                continue;
            }
            for (Tensor src : x->src) todo.push_back(src);
            if (x->view_src) todo.push_back(x->view_src);
        }
    }
};

// Splits an edge whose branch is the sum of a mixer and an FFN (parallel blocks) into one edge for each.
void split_edge(const Walker & w, const Edge & e, int depth, std::vector<std::pair<Edge, WeightName>> & out) {
    std::vector<Tensor> weights;
    w.cone(e.add->src[e.operand], false, weights);
    WeightName label;
    bool       mixer = false, ffn = false;
    for (Tensor t : weights) {
        WeightName n = parse_weight(t);
        label.layer  = std::max(label.layer, n.layer);
        mixer        = mixer || n.kind == Kind::Mixer;
        ffn          = ffn   || n.kind == Kind::FFN;
    }
    if (mixer && ffn) {
        Tensor sum = Walker::base(e.add->src[e.operand]);
        if (sum->op != GGML_OP_ADD || depth == 4) {
            unsupported("one branch of layer " + std::to_string(label.layer) + " holds both attention and FFN weights and is no sum of the two");
        }
        split_edge(w, {sum, 0}, depth + 1, out);
        split_edge(w, {sum, 1}, depth + 1, out);
        return;
    }
    label.kind = mixer ? Kind::Mixer : ffn ? Kind::FFN : Kind::Other;
    out.push_back({e, label});
}

std::string block_name(int layer, Kind kind) {
    return (kind == Kind::Mixer ? "attn:" : "ffn:") + std::to_string(layer);
}

// Every strong weight of the graph must lie in the cone of some branch. Assigns it to the block of its own layer and kind.
void assign_weights(const Walker & w, const std::vector<std::pair<Edge, int>> & edges, std::vector<Block> & blocks) {
    std::map<std::pair<int, Kind>, int> by_name;
    for (size_t i = 0; i < blocks.size(); i++) by_name[{blocks[i].layer, blocks[i].kind}] = int(i);

    TensorSet covered;
    for (const auto & [edge, block] : edges) {
        std::vector<Tensor> weights;
        w.cone(edge.add->src[edge.operand], true, weights);
        for (Tensor t : weights) {
            if (!covered.insert(t).second) continue;
            WeightName n  = parse_weight(t);
            auto       it = by_name.find({n.layer, n.kind});
            blocks[it == by_name.end() ? block : it->second].weights.push_back(t->name);
        }
    }
    const int n = ggml_graph_n_nodes(w.gf);
    for (int i = 0; i < n; i++) {
        for (Tensor src : ggml_graph_node(w.gf, i)->src) {
            if (src && parse_weight(src).strong && !covered.count(src)) {
                unsupported(std::string("the weight ") + src->name + " belongs to no residual block of the graph");
            }
        }
    }
}

} // namespace

std::unordered_map<std::string, Tensor> Analysis::loaded_weights(ggml_cgraph * gf) const {
    std::unordered_map<std::string, Tensor> out;
    for (const Block & b : blocks) {
        for (const std::string & name : b.weights) out[name] = nullptr;
    }
    for (int i = 0; i < ggml_graph_n_nodes(gf); i++) {
        for (Tensor src : ggml_graph_node(gf, i)->src) {
            if (!src || !is_leaf(src) || !src->buffer) continue;
            auto it = out.find(src->name);
            if (it != out.end()) it->second = src;
        }
    }
    return out;
}

Analysis analyse(ggml_cgraph * gf) {
    Analysis a;
    a.logits = ggml_graph_get_tensor(gf, "result_output");
    if (!a.logits || is_leaf(a.logits)) a.logits = ggml_graph_node(gf, -1);

    // Behind the last norm some models do things to the logits that no walk needs to see (masked tokens).
    Tensor last_norm = ggml_graph_get_tensor(gf, "result_norm");

    Walker w(gf);
    w.walk(last_norm && w.strong(last_norm) ? last_norm : a.logits);

    std::map<std::pair<int, Kind>, int> index;
    std::vector<std::pair<Edge, int>>   edges;
    for (const Join & j : w.joins) {
        std::vector<std::pair<Edge, WeightName>> found;
        for (const Branch & b : j.branches) split_edge(w, b.edge, 0, found);
        for (const auto & [edge, label] : found) {
            if (label.kind == Kind::Other) continue;
            if (w.uses[edge.add->src[edge.operand]] > 1) {
                unsupported("the output of " + block_name(label.layer, label.kind) + " is used in more than one place");
            }
            auto [it, fresh] = index.insert({{label.layer, label.kind}, int(a.blocks.size())});
            if (fresh) {
                Block b;
                b.layer    = label.layer;
                b.kind     = label.kind;
                b.boundary = j.base;
                a.blocks.push_back(b);
            } else if (it->second + 2 < int(a.blocks.size())) {
                unsupported("layer " + std::to_string(label.layer) + " is run more than once (a looped stack)");
            }
            a.blocks[it->second].edges.push_back(edge);
            edges.push_back({edge, it->second});
        }
    }
    if (a.blocks.empty()) unsupported("no residual block was found in the graph");
    a.end   = w.joins.back().add;
    a.trunk = w.trunk;
    assign_weights(w, edges, a.blocks);
    std::stable_sort(a.blocks.begin(), a.blocks.end(), [](const Block & x, const Block & y) {
        return x.layer != y.layer ? x.layer < y.layer : x.kind < y.kind;
    });
    return a;
}

} // namespace bp
