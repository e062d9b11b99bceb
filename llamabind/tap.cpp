// From an output projection forward to the residual stream: what the product is multiplied with on the way. A repair needs to know, for
// whatever is fitted enters the stream multiplied with the same.
#include "graph.h"

#include <cstring>

namespace bp {

namespace {

// The product of which the weight is the matrix.
Tensor product_of(ggml_cgraph * gf, Tap & t) {
    Tensor found = nullptr;
    for (int i = 0; i < ggml_graph_n_nodes(gf); i++) {
        Tensor n = ggml_graph_node(gf, i);
        for (int s = 0; s < GGML_MAX_SRC; s++) {
            if (!n->src[s] || t.weight != n->src[s]->name) continue;
            if (found || s != 0 || (n->op != GGML_OP_MUL_MAT && n->op != GGML_OP_MUL_MAT_ID)) {
                t.refused = "its output projection is more than the matrix of one product";
                return nullptr;
            }
            found = n;
        }
    }
    if (!found) t.refused = "its output projection is in no product of the graph";
    return found;
}

// The one node that reads t; of the views of t, which are its experts' parts, the first. Null if there are several.
Tensor reader_of(ggml_cgraph * gf, const ggml_tensor * t) {
    Tensor found = nullptr;
    for (int i = 0; i < ggml_graph_n_nodes(gf); i++) {
        Tensor n    = ggml_graph_node(gf, i);
        bool   uses = false;
        for (Tensor src : n->src) uses = uses || src == t;
        if (!uses || (found && found->op == GGML_OP_VIEW && n->op == GGML_OP_VIEW)) continue;
        if (found) return nullptr;
        found = n;
    }
    return found;
}

} // namespace

Tap Analysis::tap(ggml_cgraph * gf, const std::string & weight) const {
    Tap t;
    t.weight       = weight;
    Tensor product = product_of(gf, t);
    if (!product) return t;
    t.input = product->src[1];
    if (product->op == GGML_OP_MUL_MAT_ID) {
        t.ids = product->src[2];
        if (t.input->ne[1] != t.ids->ne[0]) t.refused = "its experts have the same input";
    }
    Tensor norm = nullptr; // the product with its weight
    bool   sum  = false;   // more than the product goes on
    for (Tensor cur = product; t.refused.empty() && !trunk.count(cur);) {
        Tensor n = reader_of(gf, cur);
        if (!n) {
            t.refused = "its output projection's product is used in more than one place";
            break;
        }
        switch (n->op) {
            case GGML_OP_ADD: case GGML_OP_ADD_ID: case GGML_OP_VIEW: case GGML_OP_RESHAPE: case GGML_OP_CONT: case GGML_OP_GET_ROWS:
                if (n->op == GGML_OP_ADD_ID || (n->op == GGML_OP_ADD && is_leaf(n->src[n->src[0] == cur ? 1 : 0]))) {
                    t.bias_factors = t.factors.size();
                    t.bias_scale   = 1.0f;
                }
                sum = sum || n->op == GGML_OP_ADD || n->op == GGML_OP_ADD_ID;
                if (n->src[1] == cur && n->op != GGML_OP_ADD) t.refused = "its output projection's product picks rows";
                break;
            case GGML_OP_SCALE: {
                float scale[2]; // and what is added
                memcpy(scale, n->op_params, sizeof(scale));
                if (scale[1] != 0.0f) t.refused = "a constant is added to its output projection's product";
                t.scale *= scale[0];
                t.bias_scale *= scale[0];
                break;
            }
            case GGML_OP_MUL: {
                Tensor factor = n->src[0] == cur ? n->src[1] : n->src[0];
                if (t.normed && !t.norm && is_leaf(factor) && factor->type == GGML_TYPE_F32 && ggml_nelements(factor) == cur->ne[0]) {
                    t.norm = factor;
                    norm   = n;
                    break;
                }
                if (factor->ne[0] != 1 || factor == cur || !ggml_are_same_shape(n, cur)) {
                    t.refused = "its output projection's product is scaled channel by channel";
                }
                t.factors.push_back(factor);
                break;
            }
            case GGML_OP_RMS_NORM:
                if (t.normed || sum) t.refused = "a norm of more than its product follows its output projection";
                t.normed = true;
                memcpy(&t.eps, n->op_params, sizeof(t.eps));
                break;
            default:
                t.refused = std::string("the op ") + ggml_op_desc(n) + " follows its output projection";
        }
        // Behind a norm come its weight and the stream.
        const bool after = n->op == GGML_OP_RMS_NORM || n == norm || trunk.count(n);
        if (t.normed && !after && t.refused.empty()) {
            t.refused = std::string("the op ") + ggml_op_desc(n) + " follows the norm behind its output projection";
        }
        cur = n;
    }
    if (t.normed && t.refused.empty() && (!t.norm || t.ids)) t.refused = "the norm behind its output projection has no weight, or is one of experts";
    return t;
}

} // namespace bp
