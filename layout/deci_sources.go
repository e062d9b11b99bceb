package layout

import (
	"fmt"
	"strings"
)

// deciSource says how an architecture differs from llama.cpp's deci, which is Llama with head counts and FFN lengths per
// layer. Anything else must be alike: RMS norms in front of attention and FFN, SwiGLU, full rotary embeddings, 1/sqrt(head
// size) as the attention scale.
type deciSource struct {
	// neox: rotary embeddings pair dimension i with i + size/2 of a head (NEOX), not 2i with 2i + 1 (NORM). The rows of Q and K
	// are permuted, which moves rows whole and loses nothing, but adds up in another order.
	neox bool
	// fusedUp: ffn_up holds the gate's rows, then those of the up projection.
	fusedUp bool
	// longrope: the factors rope_factors_long and _short are in use whatever rope.scaling.type says.
	longrope bool
	// rename are tensors of a layer that deci names otherwise.
	rename map[string]string
	// scaledFFN: ffn_*.scale, factors of the FFN's matrices, are in use. deci ignores them; see deci_scales.go.
	scaledFFN bool
	// ignored are tensors of a layer that the architecture loads but does not use, while deci would.
	ignored []string
	// refuse names what a model of this architecture must not have, "" where it is fine.
	refuse func(m *model) string
}

var deciSources = map[string]deciSource{
	"deci":      {},
	"llama":     {scaledFFN: true},
	"internlm2": {},
	"xverse":    {},
	"baichuan":  {refuse: baichuanWithoutRoPE},
	"ernie4_5":  {ignored: []string{"attn_output.bias"}},
	"mistral3":  {scaledFFN: true, refuse: mistral3Extras},
	"qwen2":     {neox: true},
	"exaone":    {neox: true},
	"seed_oss":  {neox: true, rename: map[string]string{"post_attention_norm.weight": "ffn_norm.weight"}},
	"phi3":      {neox: true, fusedUp: true, longrope: true},
}

// baichuanWithoutRoPE: llama.cpp tells the 7B, which has RoPE as Llama has, by its 32 layers.
func baichuanWithoutRoPE(m *model) string {
	if m.nLayer != 32 {
		return fmt.Sprintf("llama.cpp runs a Baichuan of %d layers without RoPE", m.nLayer)
	}
	return ""
}

// mistral3Extras: the loader of deci reads neither the temperature scaling of long contexts nor YaRN's parameters.
func mistral3Extras(m *model) string {
	for key, usual := range map[string]float64{
		"attention.temperature_scale": 0, "rope.scaling.yarn_log_multiplier": 0,
		"rope.scaling.yarn_beta_fast": 32, "rope.scaling.yarn_beta_slow": 1,
	} {
		v, found, err := m.src.Float(m.key(key))
		if err != nil || found && v != usual {
			return fmt.Sprintf("%s is %v; deci knows only %v", m.key(key), v, usual)
		}
	}
	return ""
}

// cannotBeDeci says what of the model deci cannot express, "" if nothing.
func (m *model) cannotBeDeci(d deciSource) string {
	checks := []func() string{
		func() string {
			if d.refuse != nil {
				return d.refuse(m)
			}
			return ""
		},
		m.deciKeys, m.deciHeads, func() string { return m.deciTensors(d) }, func() string { return m.deciScales(d) },
	}
	for _, check := range checks {
		if why := check(); why != "" {
			return why
		}
	}
	return ""
}

// deciKeys: what the metadata must not say.
func (m *model) deciKeys() string {
	switch {
	case len(m.layers) != m.nLayer:
		return "deci has no multi-token-prediction head"
	case m.intKey("context_length", 0) == 0 || m.intKey("embedding_length", 0) == 0:
		return "context_length or embedding_length is missing"
	}
	return ""
}

// deciHeads: heads of one size, all of whose dimensions are rotated.
func (m *model) deciHeads() string {
	h := m.heads()
	switch {
	case h.size == 0 || h.count[0] == 0:
		return "the first layer has no attention heads"
	case h.value != h.size:
		return fmt.Sprintf("heads of Q and K have %d dimensions, those of V %d", h.size, h.value)
	case h.rot != h.size:
		return fmt.Sprintf("%d of %d dimensions of a head are rotated (rope.dimension_count)", h.rot, h.size)
	case h.size%2 != 0:
		return "heads have an odd number of dimensions"
	}
	return ""
}

// deciLayer are the names of the tensors of a layer that are known, after renaming.
var deciLayer = []string{
	"attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight", "attn_qkv.weight",
	"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "attn_qkv.bias",
	"ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight", "ffn_gate.bias", "ffn_up.bias", "ffn_down.bias",
}

// deciGlobal are the names of the other tensors. rope_factors are loaded with rope.scaling.type longrope, rope_freqs
// without.
var deciGlobal = []string{
	"token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight", "rope_factors_long.weight",
	"rope_factors_short.weight",
}

// deciTensors: an unknown tensor means a model that is not Llama's, and llama.cpp refuses files with unused tensors.
func (m *model) deciTensors(d deciSource) string {
	for _, t := range m.tensors {
		if !contains(deciGlobal, t.Name) {
			return fmt.Sprintf("deci has no tensor %s", t.Name)
		}
	}
	for _, l := range m.layers {
		for _, t := range l.tensors {
			rest := d.nameOf(t.rest)
			switch {
			case d.drops(rest), isScale(rest):
			case !contains(deciLayer, rest):
				return fmt.Sprintf("deci has no tensor %s", t.Name)
			case t.half == neither:
				return fmt.Sprintf("%s belongs to neither attention nor FFN", t.Name)
			case d.fusedUp && strings.HasPrefix(rest, "ffn_gate"), d.fusedUp && rest == "ffn_up.bias":
				return fmt.Sprintf("%s is not expected beside a fused ffn_up", t.Name)
			}
		}
	}
	return ""
}

// drops reports whether the file has no use for the tensor: what the source ignores. No graph of llama.cpp v0.5.0 uses
// input_scale. ffn_*.scale is folded into the weights where the source uses it.
func (d deciSource) drops(rest string) bool {
	return contains(d.ignored, rest) || strings.HasSuffix(rest, ".input_scale") ||
		strings.HasPrefix(rest, "ffn_") && strings.HasSuffix(rest, ".scale")
}

// nameOf is deci's name of a layer's tensor.
func (d deciSource) nameOf(rest string) string {
	if to, ok := d.rename[rest]; ok {
		return to
	}
	return rest
}
