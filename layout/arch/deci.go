package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Deci says how an architecture differs from llama.cpp's deci, which is Llama with head counts and FFN lengths per
// layer. Anything else must be alike: RMS norms in front of attention and FFN, SwiGLU, full rotary embeddings, 1/sqrt(head
// size) as the attention scale.
type Deci struct {
	// NEOX: rotary embeddings pair dimension i with i + size/2 of a head (NEOX), not 2i with 2i + 1 (NORM). The rows of Q and K
	// are permuted, which moves rows whole and loses nothing, but adds up in another order.
	NEOX bool
	// FusedUp: ffn_up holds the gate's rows, then those of the up projection.
	FusedUp bool
	// Longrope: the factors rope_factors_long and _short are in use whatever rope.scaling.type says.
	Longrope bool
	// Rename are tensors of a layer that deci names otherwise.
	Rename map[string]string
	// ScaledFFN: ffn_*.scale, factors of the FFN's matrices, are in use. deci ignores them.
	ScaledFFN bool
	// Ignored are tensors of a layer that the architecture loads but does not use, while deci would.
	Ignored []string
	// refuse names what a model of this architecture must not have, "" where it is fine.
	refuse func(p Params) string
}

// deci are the architectures that deci can stand for.
var deci = map[string]Deci{
	"deci":      {},
	"llama":     {ScaledFFN: true},
	"internlm2": {},
	"xverse":    {},
	"baichuan":  {refuse: baichuanWithoutRoPE},
	"ernie4_5":  {Ignored: []string{"attn_output.bias"}},
	"mistral3":  {ScaledFFN: true, refuse: mistral3Extras},
	"qwen2":     {NEOX: true},
	"exaone":    {NEOX: true},
	"seed_oss":  {NEOX: true, Rename: map[string]string{"post_attention_norm.weight": "ffn_norm.weight"}},
	"phi3":      {NEOX: true, FusedUp: true, Longrope: true},
}

// baichuanWithoutRoPE: llama.cpp tells the 7B, which has RoPE as Llama has, by its 32 layers.
func baichuanWithoutRoPE(p Params) string {
	if p.NLayer != 32 {
		return fmt.Sprintf("llama.cpp runs a Baichuan of %d layers without RoPE", p.NLayer)
	}
	return ""
}

// mistral3Extras: the loader of deci reads neither the temperature scaling of long contexts nor YaRN's parameters.
func mistral3Extras(p Params) string {
	for _, known := range []struct {
		key   string
		usual float64
	}{
		{"attention.temperature_scale", 0},
		{"rope.scaling.yarn_log_multiplier", 0},
		{"rope.scaling.yarn_beta_fast", 32},
		{"rope.scaling.yarn_beta_slow", 1},
	} {
		v, found, err := p.File.Float(p.Key(known.key))
		if err != nil || found && v != known.usual {
			return fmt.Sprintf("%s is %v; deci knows only %v", p.Key(known.key), v, known.usual)
		}
	}
	return ""
}

// Refuses says what the model has that a model of its architecture must not have to be stored as deci, "" if nothing.
func (d Deci) Refuses(p Params) string {
	if d.refuse == nil {
		return ""
	}
	return d.refuse(p)
}

// Drops reports whether the file has no use for the tensor: what the source ignores. No graph of llama.cpp v0.5.0 uses
// input_scale. ffn_*.scale is folded into the weights where the source uses it.
func (d Deci) Drops(rest string) bool {
	return slices.Contains(d.Ignored, rest) || strings.HasSuffix(rest, ".input_scale") ||
		strings.HasPrefix(rest, "ffn_") && strings.HasSuffix(rest, ".scale")
}

// NameOf is deci's name of a layer's tensor.
func (d Deci) NameOf(rest string) string {
	if to, ok := d.Rename[rest]; ok {
		return to
	}
	return rest
}
