// Package layout turns a model and a set of removed blocks into the plan of a GGUF file that stock llama.cpp loads.
//
// llama.cpp builds a graph of block_count layers, each a mixer (attention, state space, ...) and an FFN. Removing single
// blocks leaves layers that lack a half, and llama.cpp has no general way to say so. Three layouts get round that.
//
// native keeps the architecture. The remaining blocks are re-paired in order: a mixer directly followed by an FFN is a
// full layer, whatever layers they come from. If nothing but full layers comes out, the layers are renumbered and
// block_count is lowered. Whatever belongs to one layer must follow it: arrays in the metadata (head counts, FFN lengths),
// and what llama.cpp derives from a layer's index (every sixth layer without sliding window), which is written out as an
// array from the original indices. A mixer and an FFN of different layers take each its own attributes. Where
// llama.cpp derives something from an index and no key exists to override it (smollm3 leaves RoPE out of every fourth
// layer), or from the number of layers (gemma2 27B's attention scale), native is possible only if the result happens to
// be the same; package arch holds what is known of each architecture.
//
// deci stores partial layers of the llama family exactly. The architecture "deci" (Nemotron) is a Llama with head counts
// and FFN lengths per layer, and skips the attention of a layer without heads. Models that differ from Llama in names or in
// the order of the rotated dimensions only are converted; arch/deci.go lists them.
//
// zeros keeps the architecture and fills what is missing of a layer with all-zero weights, in the smallest tensor type that
// every backend runs. The block then adds exactly zero to the residual stream. That saves bytes, not time. Layers that are
// missing as a whole are dropped where native could drop them. It works for every architecture, if need be with every layer
// in its place; for one that this package does not know, only output projections are zeroed, so that whatever other layers
// reuse of the block (keys and values, a router's choice) stays.
//
// auto takes the first of native, deci and zeros that is exact for this architecture and mask. Where none is, Build returns
// a RefusedError. Nothing here replaces the check of the written file against the masked original.
//
// An FFN may keep some of its channels (blockmask.Cut). The rows of gate and up projection are copied for those, and the columns of
// the down projection are picked or, of a quantised one, taken from a fit. One width for all layers is native everywhere; different
// widths are native where the loader reads them layer by layer, and deci's otherwise. The result is exact in no layout: sums over
// fewer channels are in another order.
//
// # Where things are
//
// layout.go has the table of the layouts, which Build goes through: a new layout is a row there, a [Kind], and a file with its
// build function (native.go, zeros.go and deci.go are the examples). A build function reads the model that model.go takes apart.
// Layouts that keep the architecture share slots.go, which says what becomes of each layer, and perlayer.go, which makes the
// metadata say it. width.go cuts the FFNs of which a part stays, and says how wide they are. The packages below know nothing of layouts:
//
//	arch      what is known of architectures; a new one has its entry in arch/table.go
//	tensors   a tensor of the file, made of one of the source: copied, cut into rows, scaled; or zeros and ones
//	metadata  key-values under edit
//	naming    the names of the file and of the model in it
package layout
