package arch

import "slices"

// The three lists, plain, parallel and special, are what is known of llama.cpp v0.5.0's architectures, from their files in src/models:
// which layers may be joined or dropped, and what its loader or graph derives from a layer's index or from the number of layers. An
// architecture stands in one of them. One that is in none keeps all its layers in their places and loses output projections only.

// plain are the architectures whose loader and graph treat all layers alike, apart from arrays in the metadata.
var plain = []string{
	"apertus", "arcee", "bitnet", "bloom", "chameleon", "chatglm", "codeshell", "cogvlm", "deci", "dream", "ernie4_5", "exaone",
	"gemma", "glm4", "gpt2", "granitemoe", "grok", "grovemoe", "hunyuan-dense", "hunyuan-moe", "hunyuan_vl", "hy_v3",
	"internlm2", "jais", "jais2", "llada", "llada-moe", "llama", "llama-embed", "maincoder", "mamba", "mamba2", "maple", "mimo2",
	"minimax-m2", "mistral3", "mpt", "nanbeige", "nemotron", "olmo", "olmoe", "openelm", "orion", "paddleocr", "pangu-embedded",
	"phi3", "phimoe", "plm", "pockettts", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "refact", "rnd1",
	"spark2_5", "starcoder", "starcoder2", "step35", "xverse",
}

// parallel are the architectures whose FFN reads the same input as the attention: a layer of halves of different layers
// would compute something else.
var parallel = []string{"arctic", "falcon", "phi2", "plamo"}

// special are the architectures with something to look after.
var special = map[string]Traits{
	"afmoe":       {Join: AnyLayer, DenseLead: true, SWA: &SWARule{4, false, ifPositive}, Fixed: []FixedRule{everyFourth}},
	"baichuan":    {Join: AnyLayer, Counted: []CountRule{atCount("32 layers mean RoPE, 40 mean ALiBi, any other number neither", 32, 40)}},
	"bailingmoe":  {Join: AnyLayer, DenseLead: true},
	"bailingmoe2": {Join: AnyLayer, DenseLead: true},
	"bailingmoe3": {Join: AnyLayer, DenseLead: true, Hybrid: true},
	"cohere2":     {Join: SameLayer, SWA: &SWARule{4, false, always}},
	"cohere2moe": {Join: SameLayer, DenseLead: true, SWA: &SWARule{4, true, always}, Fixed: []FixedRule{
		{"the leading dense layers have RoPE in any case", Mixer, func(_ Params, i, _, lead int) bool { return i < lead }},
	}},
	"command-r": {Join: SameLayer, Counted: []CountRule{{
		"64 or more layers mean norms of Q and K",
		func(_ Params, n int) int { return min(n/64, 1) },
	}}},
	"dbrx":     {Join: AnyLayer, OutNormIsFFN: true},
	"deepseek": {Join: AnyLayer, DenseLead: true},
	"deepseek2": {Join: AnyLayer, DenseLead: true, Counted: []CountRule{
		atCount("26, 27 or 48 layers may mean a lite model", 26, 27, 48),
		atCount("47 or 48 layers may mean another gating function", 47, 48),
	}},
	"deepseek2-ocr": {Join: AnyLayer, DenseLead: true},
	"deepseek32":    {Join: AnyLayer, DenseLead: true},
	"dots1":         {Join: AnyLayer, DenseLead: true},
	"dots3note":     {Join: AnyLayer, DenseLead: true, MixerKind: ownIndexer},
	"ernie4_5-moe": {Join: AnyLayer, DenseLead: true, Fixed: []FixedRule{
		{"every so many layers are a mixture of experts (interleave_moe_layer_step)", FFN, ernieMoE},
	}},
	"exaone4": {
		Join: AnyLayer, SWA: &SWARule{4, false, ifLayers64},
		Counted: []CountRule{atCount("64 layers mean sliding windows", 64)},
	},
	"exaone-moe": {Join: AnyLayer, DenseLead: true, SWA: &SWARule{4, false, always}},
	"falcon-h1":  {Join: AnyLayer},
	"gemma2":     {Join: AnyLayer, SWA: &SWARule{2, false, always}, Counted: []CountRule{atCount("46 layers mean another attention scale", 46)}},
	"gemma3":     {Join: AnyLayer, SWA: &SWARule{6, false, ifPositive}, Counted: []CountRule{atCount("62 layers mean another attention scale", 62)}},
	"glm4moe":    {Join: AnyLayer, DenseLead: true, PostNormIsFFN: true},
	"glm-dsa":    {Join: AnyLayer, DenseLead: true, refine: sharedIndexers},
	"gptneox":    {Join: AnyLayer, refine: parallelResidual},
	"gpt-oss":    {Join: AnyLayer, SWA: &SWARule{2, false, always}, PostNormIsFFN: true},
	"granite":    {Join: AnyLayer}, "granite_swa": {Join: AnyLayer},
	"granitehybrid": {Join: AnyLayer, Hybrid: true},
	"jamba":         {Join: AnyLayer, Hybrid: true},
	"kimi-linear":   {Join: AnyLayer, DenseLead: true, Hybrid: true},
	"laguna":        {Join: AnyLayer, DenseLead: true, SWA: &SWARule{4, true, ifPositive}},
	"lfm2":          {Join: AnyLayer, Hybrid: true},
	"lfm2moe":       {Join: AnyLayer, DenseLead: true, Hybrid: true},
	"llama4": {Join: AnyLayer, MixerKind: llama4Kind, SWA: &SWARule{4, false, unlessZero}, Fixed: []FixedRule{
		{"every fourth layer is without RoPE, which no metadata can change", Mixer, llama4RoPE},
		{"every so many layers are a mixture of experts (interleave_moe_layer_step)", FFN, llama4MoE},
	}},
	"mellum":  {Join: AnyLayer, SWA: &SWARule{4, false, ifPositive}},
	"minicpm": {Join: AnyLayer, ResidualScale: minicpmResidualScale},
	"minimax-m3": {Join: AnyLayer, DenseLead: true, MixerKind: leadingDense, Fixed: []FixedRule{
		{"the leading dense layers attend densely", Mixer, func(_ Params, i, _, lead int) bool { return i < lead }},
	}},
	"mistral4":       {Join: AnyLayer, DenseLead: true, Counted: []CountRule{atCount("26, 27, 47 or 48 layers may mean another model", 26, 27, 47, 48)}},
	"muse-glimmer":   {Join: AnyLayer, SWA: &SWARule{4, false, always}},
	"nemotron_h":     {Join: SameLayer, Hybrid: true},
	"nemotron_h_moe": {Join: SameLayer, Hybrid: true},
	"olmo2":          {Join: AnyLayer, SWA: &SWARule{4, false, ifPositive}},
	"plamo2":         {Join: AnyLayer, Hybrid: true},
	"plamo3":         {Join: AnyLayer, SWA: &SWARule{8, false, ifPositive}},
	"qwen3next":      {Join: AnyLayer, Recurrent: true, PostNormIsFFN: true},
	"qwen35":         {Join: AnyLayer, Recurrent: true, PostNormIsFFN: true},
	"qwen35moe":      {Join: AnyLayer, Recurrent: true, PostNormIsFFN: true},
	"qwen3tts":       {Join: AnyLayer}, "qwen3vl": {Join: AnyLayer}, "qwen3vlmoe": {Join: AnyLayer},
	"seed_oss": {Join: AnyLayer, PostNormIsFFN: true},
	// The router of smallthinker reads the layer's input, in front of the attention.
	"smallthinker": {Join: SameLayer, SWA: &SWARule{4, true, ifPositive}, Fixed: []FixedRule{
		{"every fourth layer is without RoPE, which no metadata can change", Mixer, smallthinkerRoPE},
	}},
	"smollm3":  {Join: AnyLayer, Fixed: []FixedRule{everyFourth}},
	"stablelm": {Join: AnyLayer, refine: parallelWithoutNorm},

	"arwkv7":    {Why: "its layers reuse the values of the first one", KeepOthers: true},
	"deepseek4": {Why: "its layers mix several residual streams", KeepOthers: true},
	"gemma3n": {
		Why: "its layers share keys and values and have inputs of their own", KeepOthers: true,
		NoChannels: "its activations are cut off by their mean and deviation over all channels",
	},
	"gemma4":        {Why: "its layers share keys and values and have inputs of their own", KeepOthers: true},
	"graniteswitch": {Why: "its adapters are bound to the layers", KeepOthers: true},
	"hrm_text":      {Why: "its layers run in loops", KeepOthers: true},
	"hy_v4":         {Why: "its layers mix several residual streams", KeepOthers: true},
	"kimi-k3":       {Why: "its layers read the outputs of earlier ones", KeepOthers: true},
	"minicpm3":      {Why: "it scales what a layer adds by the number of layers"},
	"minimax-01":    {Why: "the decay of its linear attention depends on the layer's index and on the number of layers"},
	"qwen4exp":      {Why: "its layers mix several residual streams", KeepOthers: true},
	"rwkv6":         {Why: "it may halve the residual stream every few layers", KeepOthers: true},
	"rwkv6qwen2":    {Why: "it may halve the residual stream every few layers", KeepOthers: true},
	"rwkv7":         {Why: "its layers reuse the values of the first one", KeepOthers: true},
	"talkie":        {Why: "each of its layers adds the embeddings again"},
}

// traitsOf looks an architecture up and adjusts what is known of it to the model.
func traitsOf(p Params) Traits {
	t, ok := special[p.Arch]
	switch {
	case ok:
	case slices.Contains(plain, p.Arch):
		t = Traits{Join: AnyLayer}
	case slices.Contains(parallel, p.Arch):
		t = Traits{Join: SameLayer}
	default:
		t = Traits{
			Why: "this tool does not know whether llama.cpp derives anything from its layers' indices", KeepOthers: true,
			NoChannels: "this tool does not know the architecture",
		}
	}
	if d, ok := deci[p.Arch]; ok {
		t.Deci = &d
	}
	if t.refine != nil {
		t.refine(p, &t)
	}
	return t
}
