package arch

import "strings"

// LayerArrays are the keys under which llama.cpp reads an array with one element per layer, and the half that each element
// follows. Names are without the architecture, except those of xielu, which are global.
var LayerArrays = map[string]Half{
	"attention.compress_ratios":        Mixer,
	"attention.head_count":             Mixer,
	"attention.head_count_kv":          Mixer,
	"attention.indexer.types":          Mixer,
	"attention.recurrent_layers":       Mixer,
	"attention.rope_pattern":           Mixer,
	"attention.sliding_window_pattern": Mixer,
	"deepstack_mapping":                Neither,
	"expert_feed_forward_length":       FFN,
	"expert_used_count":                FFN,
	"feed_forward_length":              FFN,
	"swiglu_clamp_exp":                 FFN,
	"swiglu_clamp_shexp":               FFN,
	"xielu.alpha_n":                    FFN,
	"xielu.alpha_p":                    FFN,
	"xielu.beta":                       FFN,
	"xielu.eps":                        FFN,
}

// OtherArrays are arrays of numbers that have nothing to do with layers, whatever their length.
var OtherArrays = []string{
	"adapters.token_ids_activate", "adapters.token_ids_substitute", "ple.head_offsets", "ple.head_vocab_sizes",
	"ple.layer_multipliers", "rope.dimension_sections",
}

// ArrayKey is the whole key of one of LayerArrays.
func (p Params) ArrayKey(name string) string {
	if strings.HasPrefix(name, "xielu.") {
		return name
	}
	return p.Key(name)
}
