// Package blockmask names the residual blocks of a decoder and says which of them, or what of them, is left out.
//
// A decoder layer is two residual blocks: a token mixer (attention, or a state-space or convolution mixer) and an FFN
// (a mixture of experts is one FFN). A [Mask] says what is removed: whole blocks, and of an FFN channels or experts ([Cut]). It is
// written as text like this:
//
//	mask  = [ item *( "," item ) ]
//	item  = kind ":" first [ "-" last ]
//	kind  = "attn" | "mha" | "mixer" | "ffn" | "mlp"      (upper or lower case)
//	first, last = layer, counted from 0, at most 65535
//
// For example "attn:3,ffn:7-9" removes the mixer of layer 3 and the FFNs of layers 7, 8 and 9. White space around items
// is ignored. The empty text is the empty mask.
//
// Where a part of an FFN stays, the text says how much: "ffn:7=1024" keeps 1024 channels, "ffn:7=96x" keeps 96 experts, "ffn:7=96x+1024"
// keeps 96 experts and 1024 channels of the shared expert, and a range such as "ffn:7-9=1024" keeps that many in each layer:
//
//	item = kind ":" first [ "-" last ] [ "=" kept ]
//	kept = channels | experts "x" | experts "x+" channels
//
// A count does not say which channels stay, so [Parse] refuses such a text. The exact form is JSON ([Mask.MarshalJSON]).
//
// The package also pairs what is left of a model into layers again ([Pair]) and enumerates what a search may remove next
// ([Candidates]). It is pure: no I/O, no global state, and every method returns a new value.
package blockmask
