package arch

import (
	"slices"
	"strings"
)

// Side is the dimension of a tensor of an FFN that counts the FFN's channels.
type Side uint8

// The sides. Unknown is said of tensors of which nothing is known: they may have one element for each channel.
const (
	Unknown Side = iota
	NoSide       // the tensor does not know the channels
	Rows         // a row for each channel, in a vector an element
	Columns
)

// channelSides are the sides of the tensors of a dense FFN.
var channelSides = map[string]Side{
	"ffn_gate.weight": Rows, "ffn_gate.bias": Rows, "ffn_up.weight": Rows, "ffn_up.bias": Rows,
	"ffn_down.weight": Columns, "ffn_down.bias": NoSide,
	"ffn.act.scales": Rows, // MPT's
}

// residualNorms are norms of the residual stream, or of what an FFN adds to it.
var residualNorms = []string{
	"attn_norm", "attn_norm_2", "attn_output_norm", "ffn_norm", "layer_output_norm", "post_attention_norm", "post_ffw_norm",
}

// SideOf tells by the name of a tensor of an FFN, without "blk.N.", where it has the channels. A factor of a whole matrix
// (ffn_up.scale) has none.
func SideOf(rest string) Side {
	base := BaseName(rest)
	matrix, isScale := strings.CutSuffix(strings.Replace(rest, ".input_scale", ".scale", 1), ".scale")
	switch {
	case slices.Contains(residualNorms, base), isScale && channelSides[matrix+".weight"] != Unknown:
		return NoSide
	}
	return channelSides[rest]
}

// widthPerLayer are the architectures whose loader reads feed_forward_length layer by layer. The others take the first layer's for
// all of them, although the key may hold an array. The graphs take FFNs as wide as their tensors.
var widthPerLayer = []string{"deci", "gemma4", "nemotron_h", "nemotron_h_moe", "openelm", "plamo3"}

// WidthPerLayer reports whether the FFNs of a file of this architecture may differ in width.
func (p Params) WidthPerLayer() bool { return slices.Contains(widthPerLayer, p.Arch) }

// PerChannel is how much of feed_forward_length a channel is: Qwen 1 counts the gate and the up projection.
func (p Params) PerChannel() int {
	if p.Arch == "qwen" {
		return 2
	}
	return 1
}

// Widths reads the number of channels of each layer's FFN, with those of a multi-token-prediction head.
func (p Params) Widths() []int {
	all := p
	all.NLayer = p.BlockCount
	out := all.Spread("feed_forward_length")
	for i := range out {
		out[i] /= p.PerChannel()
	}
	return out
}

// OwnExperts reports whether experts have a width of their own, which does not follow that of dense FFNs.
func (p Params) OwnExperts() bool {
	for _, n := range p.Spread("expert_feed_forward_length") {
		if n > 0 {
			return true
		}
	}
	return false
}
