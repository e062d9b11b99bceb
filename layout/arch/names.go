package arch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
)

// SplitName splits "blk.12.attn_q.weight" into 12 and "attn_q.weight". "blk.012.attn_q.weight" is another name, which llama.cpp does not
// know, and of no layer: TensorName would not make it.
func SplitName(name string) (layer int, rest string, ok bool) {
	s, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(s, ".")
	layer, err := strconv.Atoi(number)
	return layer, rest, ok && err == nil && layer >= 0 && number == strconv.Itoa(layer)
}

// TensorName is SplitName backwards.
func TensorName(layer int, rest string) string { return fmt.Sprintf("blk.%d.%s", layer, rest) }

// BaseName is the name without the last part: "ffn_down.weight" -> "ffn_down". Old files number experts, as in
// "ffn_down.3.weight", which is "ffn_down" too.
func BaseName(rest string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(rest, ".weight"), ".bias")
	if i := strings.LastIndexByte(base, '.'); i >= 0 && strings.Trim(base[i+1:], "0123456789") == "" {
		base = base[:i]
	}
	return base
}

// mixerPrefixes and ffnPrefixes are those of llama.cpp's tensor names.
var (
	mixerPrefixes = []string{"attn_", "post_attention_norm", "ssm_", "shortconv.", "time_mix_", "indexer", "vis_attn_", "cross_attn_"}
	ffnPrefixes   = []string{
		"ffn_", "ffn.", "post_ffw_norm", "pre_ffw_norm", "exp_probs_b", "channel_mix_", "vis_gate", "vis_up", "vis_down",
		"layer_output_norm",
	}
)

// HalfByName tells by the name of a layer's tensor, without "blk.N.", to which half it belongs.
func (t Traits) HalfByName(rest string) Half {
	base, _, _ := strings.Cut(rest, ".")
	switch {
	case base == "post_attention_norm" && t.PostNormIsFFN, base == "attn_output_norm" && t.OutNormIsFFN:
		return FFN
	case hasPrefix(rest, mixerPrefixes):
		return Mixer
	case hasPrefix(rest, ffnPrefixes):
		return FFN
	}
	return Neither
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// outputs are the last matrices of a block: zero in, zero out, whatever the rest holds.
var outputs = [2][]string{
	Mixer: {"attn_output", "attn_output_b", "ssm_out", "shortconv.out_proj", "time_mix_output", "vis_attn_output"},
	FFN: {
		"ffn_down", "ffn_down_exps", "ffn_down_shexp", "ffn_down_chexps", "channel_mix_value", "vis_down",
	},
}

// inner are further matrices, used in nothing but matrix products, that may be zeroed to save bytes. The small tensors of
// recurrent mixers are not here (a zero decay may become NaN), nor are norms and the router of a mixture of experts.
var inner = [2][]string{
	Mixer: {
		"attn_q", "attn_k", "attn_v", "attn_qkv", "attn_gate", "attn_q_a", "attn_q_b", "attn_kv_a_mqa", "attn_kv_b", "attn_k_b",
		"attn_v_b", "attn_output_a", "ssm_in", "shortconv.in_proj", "vis_attn_qkv",
	},
	FFN: {
		"ffn_gate", "ffn_up", "ffn_gate_exps", "ffn_up_exps", "ffn_gate_up_exps", "ffn_gate_shexp", "ffn_up_shexp",
		"ffn_gate_chexps", "ffn_up_chexps", "channel_mix_key", "channel_mix_receptance", "vis_gate", "vis_up",
	},
}

// postNorms are norms behind a block: their biases, where there are any, are added to what is zero.
var postNorms = []string{"post_attention_norm", "attn_output_norm", "post_ffw_norm", "post_ffw_norm_1", "post_ffw_norm_2", "layer_output_norm"}

// IsOutput reports whether the tensor of this name is the last matrix of a block of that kind, or its bias.
func IsOutput(tensor string, kind blockmask.Kind) bool {
	_, rest, ok := strings.Cut(strings.TrimPrefix(tensor, "blk."), ".")
	return ok && HalfOf(kind).IsOutput(rest)
}

// IsOutput reports whether the tensor of a layer is the last matrix of that half, or its bias. rest is the name without "blk.N.".
func (h Half) IsOutput(rest string) bool { return slices.Contains(outputs[h], BaseName(rest)) }

// IsInner reports whether the tensor is another matrix of that half which may be zeroed, or its bias.
func (h Half) IsInner(rest string) bool { return slices.Contains(inner[h], BaseName(rest)) }

// IsPostNorm reports whether the tensor belongs to a norm behind a block.
func IsPostNorm(rest string) bool { return slices.Contains(postNorms, BaseName(rest)) }
