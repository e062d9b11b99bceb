package blockmask

import (
	"cmp"
	"strconv"
)

// Kind is which half of a decoder layer a block is.
type Kind uint8

// The kinds in the order in which they run within a layer.
const (
	Mixer Kind = iota // attention, state-space or convolution: mixes tokens
	FFN               // feed-forward network, dense or mixture of experts
)

// String returns the canonical name used in masks: "attn" or "ffn".
func (k Kind) String() string {
	if k == FFN {
		return "ffn"
	}
	return "attn"
}

// MaxLayer is the highest layer index that a mask may name. Real models have fewer than 200 layers; the bound keeps a
// mistyped or hostile range from growing into gigabytes.
const MaxLayer = 65535

// Block is one residual block: the mixer or the FFN of a layer. Layer counts from 0 in the original model.
type Block struct {
	Layer int
	Kind  Kind
}

// String returns the block as it is written in a mask, such as "attn:3" or "ffn:7".
func (b Block) String() string { return b.Kind.String() + ":" + strconv.Itoa(b.Layer) }

// Compare orders blocks as data flows through a model: by layer, the mixer before the FFN. It returns -1, 0 or +1.
func Compare(a, b Block) int {
	if c := cmp.Compare(a.Layer, b.Layer); c != 0 {
		return c
	}
	return cmp.Compare(a.Kind, b.Kind)
}
