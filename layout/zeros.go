package layout

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// outputs are the last matrices of a block: zero in, zero out, whatever the rest holds.
var outputs = [2][]string{
	mixer: {"attn_output", "attn_output_b", "ssm_out", "shortconv.out_proj", "time_mix_output", "vis_attn_output"},
	ffn: {
		"ffn_down", "ffn_down_exps", "ffn_down_shexp", "ffn_down_chexps", "channel_mix_value", "vis_down",
	},
}

// inner are further matrices, used in nothing but matrix products, that may be zeroed to save bytes. The small tensors of
// recurrent mixers are not here (a zero decay may become NaN), nor are norms and the router of a mixture of experts.
var inner = [2][]string{
	mixer: {
		"attn_q", "attn_k", "attn_v", "attn_qkv", "attn_gate", "attn_q_a", "attn_q_b", "attn_kv_a_mqa", "attn_kv_b", "attn_k_b",
		"attn_v_b", "attn_output_a", "ssm_in", "shortconv.in_proj", "vis_attn_qkv",
	},
	ffn: {
		"ffn_gate", "ffn_up", "ffn_gate_exps", "ffn_up_exps", "ffn_gate_up_exps", "ffn_gate_shexp", "ffn_up_shexp",
		"ffn_gate_chexps", "ffn_up_chexps", "channel_mix_key", "channel_mix_receptance", "vis_gate", "vis_up",
	},
}

// postNorms are norms behind a block: their biases, where there are any, are added to what is zero.
var postNorms = []string{"post_attention_norm", "attn_output_norm", "post_ffw_norm", "post_ffw_norm_1", "post_ffw_norm_2", "layer_output_norm"}

// buildZeros keeps the architecture and zeroes what is removed of a layer that stays.
func buildZeros(m *model) (*Result, error) {
	for _, slots := range m.arrangements() {
		meta := m.metadata()
		why, err := m.express(meta, slots)
		if err != nil {
			return nil, err
		}
		if why != "" {
			continue
		}
		if why := m.cannotZero(slots); why != "" {
			return nil, &RefusedError{Zeros, m.arch, why, "remove whole layers"}
		}
		res := &Result{Kind: Zeros, Layers: m.asLayers(slots), Warnings: m.windowWarning(meta)}
		res.Plan = &gguf.Plan{KVs: meta.kvs, Tensors: m.tensorsOf(slots, m.zeroed)}
		if n := zeroHalves(slots); n > 0 {
			res.Warnings = append(res.Warnings, fmt.Sprintf("%d blocks are stored as zeros: the file is smaller, but does not run faster "+
				"for them.", n))
		}
		return res, nil
	}
	return nil, &RefusedError{Zeros, m.arch, "not even the layers in their places can be expressed", ""}
}

func zeroHalves(slots []slot) int {
	n := 0
	for _, s := range slots {
		for _, z := range s.zero {
			if z {
				n++
			}
		}
	}
	return n
}

// cannotZero: every zeroed half must have an output projection that is known, or its output would not be zero.
func (m *model) cannotZero(slots []slot) string {
	for _, s := range slots {
		for h, z := range s.zero {
			if z && !m.hasOutput(s.from[h], half(h)) {
				return fmt.Sprintf("no output projection is known among the tensors of layer %d's %s", s.from[h], [2]string{"mixer", "FFN"}[h])
			}
		}
	}
	return ""
}

func (m *model) hasOutput(i int, h half) bool {
	for _, t := range m.layers[i].tensors {
		if t.half == h && contains(outputs[h], baseName(t.rest)) {
			return true
		}
	}
	return false
}

// baseName is the name without the last part: "ffn_down.weight" -> "ffn_down". Old files number experts, as in
// "ffn_down.3.weight", which is "ffn_down" too.
func baseName(rest string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(rest, ".weight"), ".bias")
	if i := strings.LastIndexByte(base, '.'); i >= 0 && strings.Trim(base[i+1:], "0123456789") == "" {
		base = base[:i]
	}
	return base
}

// zeroed plans a tensor of a zeroed half: zeros in the smallest suitable type for matrices and biases that make up the
// output, and where nothing else needs them for the inner ones; anything else is copied.
func (m *model) zeroed(t layerTensor) gguf.PlanTensor {
	base := baseName(t.rest)
	zero := contains(outputs[t.half], base) || !m.traits.keepOthers && contains(inner[t.half], base)
	bias := strings.HasSuffix(t.rest, ".bias")
	zero = zero || bias && contains(postNorms, base)
	if !zero || !bias && !strings.HasSuffix(t.rest, ".weight") {
		return m.copyOf(t.Tensor, t.Name)
	}
	typ := t.Type
	if !bias && len(t.Dims) > 1 {
		typ = ZeroType(t.Tensor)
	}
	size := typ.RowBytes(t.Dims[0]) * t.Rows()
	return gguf.PlanTensor{Name: t.Name, Type: typ, Dims: t.Dims, Data: gguf.Zeros(size)}
}

// ZeroType is the smallest tensor type for zeros that CPU, CUDA, Metal and Vulkan all run. All-zero bytes are zeros in each.
// Unquantised models get F16, so that they can still be quantised. It is t's own type where no other is smaller.
func ZeroType(t gguf.Tensor) gguf.Type {
	row := t.Dims[0]
	best := gguf.F16
	switch {
	case !t.Type.Quantized():
	case row%gguf.Q2_K.BlockSize() == 0:
		best = gguf.Q2_K
	case row%gguf.Q4_0.BlockSize() == 0:
		best = gguf.Q4_0
	}
	if t.Type.RowBytes(row) <= best.RowBytes(row) {
		return t.Type
	}
	return best
}

// IsOutput reports whether the tensor of this name is the last matrix of a block of that kind, or its bias.
func IsOutput(tensor string, kind blockmask.Kind) bool {
	h := mixer
	if kind == blockmask.FFN {
		h = ffn
	}
	_, rest, ok := strings.Cut(strings.TrimPrefix(tensor, "blk."), ".")
	return ok && contains(outputs[h], baseName(rest))
}
