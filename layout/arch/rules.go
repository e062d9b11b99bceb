package arch

import "math"

// The rules that the tables name. First, when a model has sliding windows at all.

func always(Params, uint64, bool) bool               { return true }
func ifPositive(_ Params, n uint64, found bool) bool { return found && n > 0 }
func unlessZero(_ Params, n uint64, found bool) bool { return !found || n > 0 }
func ifLayers64(p Params, _ uint64, found bool) bool { return p.NLayer == 64 }

// everyFourth: RoPE is left out of every fourth layer (n_no_rope_layer_step).
var everyFourth = FixedRule{
	"every fourth layer is without RoPE, which no metadata can change", Mixer,
	func(_ Params, i, _, _ int) bool { return (i+1)%4 != 0 },
}

// atCount is a property that holds for the numbers of layers given.
func atCount(what string, counts ...int) CountRule {
	return CountRule{what, func(_ Params, n int) int {
		for i, c := range counts {
			if n == c {
				return i + 1
			}
		}
		return 0
	}}
}

// parallelResidual: GPT-NeoX computes attention and FFN from the same input if use_parallel_residual is set.
func parallelResidual(p Params, t *Traits) {
	if par, found, err := p.File.Bool(p.Key("use_parallel_residual")); err != nil || !found || par {
		t.Join = SameLayer
	}
}

// parallelWithoutNorm: StableLM's layers without ffn_norm are parallel.
func parallelWithoutNorm(p Params, t *Traits) {
	if _, ok := p.File.Tensor("blk.0.ffn_norm.weight"); !ok {
		t.Join = SameLayer
	}
}

// sharedIndexers: from GLM 5.2 on, layers without an indexer of their own use the last one's choice of tokens.
func sharedIndexers(p Params, t *Traits) {
	for i := range p.NLayer {
		if _, ok := p.File.Tensor(TensorName(i, "indexer.attn_k.weight")); !ok {
			t.Join, t.Why, t.KeepOthers = KeepAll, "its layers share indexers", true
			return
		}
	}
}

// ownIndexer: layers of sparse attention have an indexer, the others do not.
func ownIndexer(p Params, i int) bool {
	_, ok := p.File.Tensor(TensorName(i, "indexer.attn_k.weight"))
	return ok
}

// llama4Kind: only layers without RoPE use the input of the attention temperature.
func llama4Kind(p Params, i int) bool { return llama4RoPE(p, i, p.NLayer, 0) }

func leadingDense(p Params, i int) bool { return i < p.Int("leading_dense_block_count", 0) }

func ernieMoE(p Params, i, _, lead int) bool {
	step := p.Int("interleave_moe_layer_step", 0)
	return step > 0 && i >= lead && (i+1)%step == 0
}

func llama4MoE(p Params, i, _, _ int) bool {
	step := p.Int("interleave_moe_layer_step", 0)
	return step > 0 && (i+1)%step == 0
}

// llama4RoPE: with a window of 0, the step is the number of layers, so that the last layer is without RoPE.
func llama4RoPE(p Params, i, nLayer, _ int) bool {
	step := 4
	if p.Int("attention.sliding_window", -1) == 0 {
		step = nLayer
	}
	return (i+1)%step != 0
}

// smallthinkerRoPE: the step is 4, or without sliding windows the number of layers, which then means RoPE everywhere.
func smallthinkerRoPE(p Params, i, nLayer, _ int) bool {
	step := 4
	if p.Int("attention.sliding_window", 0) == 0 {
		step = nLayer
	}
	return step == nLayer || i%step != 0
}

// minicpmResidualScale is llama.cpp's default, in single precision as there.
func minicpmResidualScale(nLayer int) float32 {
	return float32(1.4) / float32(math.Sqrt(float64(nLayer)))
}
