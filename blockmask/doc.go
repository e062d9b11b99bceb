// Package blockmask names the residual blocks of a decoder and the sets of them that are left out.
//
// A decoder layer is two residual blocks: a token mixer (attention, or a state-space or convolution mixer) and an FFN
// (a mixture of experts is one FFN). A [Mask] is the set of blocks that are removed. It is written as text like this:
//
//	mask  = [ item *( "," item ) ]
//	item  = kind ":" first [ "-" last ]
//	kind  = "attn" | "mha" | "mixer" | "ffn" | "mlp"      (upper or lower case)
//	first, last = layer, counted from 0, at most 65535
//
// For example "attn:3,ffn:7-9" removes the mixer of layer 3 and the FFNs of layers 7, 8 and 9. White space around items
// is ignored. The empty text is the empty mask.
//
// The package also pairs what is left of a model into layers again ([Pair]) and enumerates what a search may remove next
// ([Candidates]). It is pure: no I/O, no global state, and every method returns a new value.
package blockmask
