package layout

// What is known of llama.cpp v0.5.0's architectures, from their files in src/models: which layers may be joined or dropped,
// and what its loader or graph derives from a layer's index or from the number of layers. An architecture that is not here
// keeps all its layers in their places and loses output projections only.

// joining says which halves may share a layer of the file.
type joining uint8

const (
	keepAll   joining = iota // nothing is known: every layer stays in its place
	sameLayer                // both halves of a layer of the file come from one layer of the source
	anyLayer                 // a mixer and an FFN of different layers may be joined
)

// traits describes an architecture.
type traits struct {
	join joining
	why  string // why join is keepAll

	// swa is the sliding-window pattern that the loader derives where the metadata has no array of it.
	swa *swaRule
	// recurrent: attention.recurrent_layers is derived from full_attention_interval where it is absent.
	recurrent bool
	// denseLead: the first leading_dense_block_count layers have a dense FFN, the others a mixture of experts.
	denseLead bool
	// postNormIsFFN: post_attention_norm is the norm in front of the FFN, not one behind the attention.
	postNormIsFFN bool
	// outNormIsFFN: the same for attn_output_norm.
	outNormIsFFN bool
	// fixed are properties that no metadata can express: each kept half must have the same value at its new index.
	fixed []fixedRule
	// counted are properties that the loader derives from the number of layers.
	counted []countRule
	// keepOthers: other layers reuse what a block computes inside (keys and values, a router's choice), so that zeros may
	// zero its output projection only.
	keepOthers bool
	// hybrid: layers without key-value heads are recurrent, whatever their number of heads.
	hybrid bool
	// kind tells sorts of mixers apart of which llama.cpp aborts unless at least one layer of each remains.
	kind func(m *model, i int) int
	// refine adjusts the traits to one model.
	refine func(m *model, t *traits)
}

// swaRule is llama.cpp's set_swa_pattern: layer i has a sliding window unless i is the last one, or with first the first
// one, of its period.
type swaRule struct {
	period int
	first  bool
	// window says whether the model has sliding windows at all, given attention.sliding_window (found = false where absent).
	window func(m *model, n uint64, found bool) bool
}

func (s swaRule) at(i, period int) bool {
	switch {
	case period == 0:
		return true
	case s.first:
		return i%period != 0
	default:
		return i%period < period-1
	}
}

func always(*model, uint64, bool) bool               { return true }
func ifPositive(_ *model, n uint64, found bool) bool { return found && n > 0 }
func unlessZero(_ *model, n uint64, found bool) bool { return !found || n > 0 }
func ifLayers64(m *model, _ uint64, found bool) bool { return m.nLayer == 64 }

// fixedRule is a property of a half that llama.cpp derives from the layer's index and cannot be told otherwise.
type fixedRule struct {
	what string
	half half
	at   func(m *model, i, nLayer, denseLead int) bool
}

// countRule is a property of a model that llama.cpp derives from the number of layers.
type countRule struct {
	what string
	of   func(m *model, nLayer int) int
}

// everyFourth: RoPE is left out of every fourth layer (n_no_rope_layer_step).
var everyFourth = fixedRule{
	"every fourth layer is without RoPE, which no metadata can change", mixer,
	func(_ *model, i, _, _ int) bool { return (i+1)%4 != 0 },
}

// atCount is a property that holds for the numbers of layers given.
func atCount(what string, counts ...int) countRule {
	return countRule{what, func(_ *model, n int) int {
		for i, c := range counts {
			if n == c {
				return i + 1
			}
		}
		return 0
	}}
}

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
var special = map[string]traits{
	"afmoe":       {join: anyLayer, denseLead: true, swa: &swaRule{4, false, ifPositive}, fixed: []fixedRule{everyFourth}},
	"baichuan":    {join: anyLayer, counted: []countRule{atCount("32 layers mean RoPE, 40 mean ALiBi, any other number neither", 32, 40)}},
	"bailingmoe":  {join: anyLayer, denseLead: true},
	"bailingmoe2": {join: anyLayer, denseLead: true},
	"bailingmoe3": {join: anyLayer, denseLead: true, hybrid: true},
	"cohere2":     {join: sameLayer, swa: &swaRule{4, false, always}},
	"cohere2moe": {join: sameLayer, denseLead: true, swa: &swaRule{4, true, always}, fixed: []fixedRule{
		{"the leading dense layers have RoPE in any case", mixer, func(_ *model, i, _, lead int) bool { return i < lead }},
	}},
	"command-r": {join: sameLayer, counted: []countRule{{
		"64 or more layers mean norms of Q and K",
		func(_ *model, n int) int { return min(n/64, 1) },
	}}},
	"dbrx":     {join: anyLayer, outNormIsFFN: true},
	"deepseek": {join: anyLayer, denseLead: true},
	"deepseek2": {join: anyLayer, denseLead: true, counted: []countRule{
		atCount("26, 27 or 48 layers may mean a lite model", 26, 27, 48),
		atCount("47 or 48 layers may mean another gating function", 47, 48),
	}},
	"deepseek2-ocr": {join: anyLayer, denseLead: true},
	"deepseek32":    {join: anyLayer, denseLead: true},
	"dots1":         {join: anyLayer, denseLead: true},
	"dots3note":     {join: anyLayer, denseLead: true, kind: ownIndexer},
	"ernie4_5-moe": {join: anyLayer, denseLead: true, fixed: []fixedRule{
		{"every so many layers are a mixture of experts (interleave_moe_layer_step)", ffn, ernieMoE},
	}},
	"exaone4": {
		join: anyLayer, swa: &swaRule{4, false, ifLayers64},
		counted: []countRule{atCount("64 layers mean sliding windows", 64)},
	},
	"exaone-moe": {join: anyLayer, denseLead: true, swa: &swaRule{4, false, always}},
	"falcon-h1":  {join: anyLayer},
	"gemma2":     {join: anyLayer, swa: &swaRule{2, false, always}, counted: []countRule{atCount("46 layers mean another attention scale", 46)}},
	"gemma3":     {join: anyLayer, swa: &swaRule{6, false, ifPositive}, counted: []countRule{atCount("62 layers mean another attention scale", 62)}},
	"glm4moe":    {join: anyLayer, denseLead: true, postNormIsFFN: true},
	"glm-dsa":    {join: anyLayer, denseLead: true, refine: sharedIndexers},
	"gptneox":    {join: anyLayer, refine: parallelResidual},
	"gpt-oss":    {join: anyLayer, swa: &swaRule{2, false, always}, postNormIsFFN: true},
	"granite":    {join: anyLayer}, "granite_swa": {join: anyLayer},
	"granitehybrid": {join: anyLayer, hybrid: true},
	"jamba":         {join: anyLayer, hybrid: true},
	"kimi-linear":   {join: anyLayer, denseLead: true, hybrid: true},
	"laguna":        {join: anyLayer, denseLead: true, swa: &swaRule{4, true, ifPositive}},
	"lfm2":          {join: anyLayer, hybrid: true},
	"lfm2moe":       {join: anyLayer, denseLead: true, hybrid: true},
	"llama4": {join: anyLayer, kind: llama4Kind, swa: &swaRule{4, false, unlessZero}, fixed: []fixedRule{
		{"every fourth layer is without RoPE, which no metadata can change", mixer, llama4RoPE},
		{"every so many layers are a mixture of experts (interleave_moe_layer_step)", ffn, llama4MoE},
	}},
	"mellum":  {join: anyLayer, swa: &swaRule{4, false, ifPositive}},
	"minicpm": {join: anyLayer},
	"minimax-m3": {join: anyLayer, denseLead: true, kind: leadingDense, fixed: []fixedRule{
		{"the leading dense layers attend densely", mixer, func(_ *model, i, _, lead int) bool { return i < lead }},
	}},
	"mistral4":       {join: anyLayer, denseLead: true, counted: []countRule{atCount("26, 27, 47 or 48 layers may mean another model", 26, 27, 47, 48)}},
	"muse-glimmer":   {join: anyLayer, swa: &swaRule{4, false, always}},
	"nemotron_h":     {join: sameLayer, hybrid: true},
	"nemotron_h_moe": {join: sameLayer, hybrid: true},
	"olmo2":          {join: anyLayer, swa: &swaRule{4, false, ifPositive}},
	"plamo2":         {join: anyLayer, hybrid: true},
	"plamo3":         {join: anyLayer, swa: &swaRule{8, false, ifPositive}},
	"qwen3next":      {join: anyLayer, recurrent: true, postNormIsFFN: true},
	"qwen35":         {join: anyLayer, recurrent: true, postNormIsFFN: true},
	"qwen35moe":      {join: anyLayer, recurrent: true, postNormIsFFN: true},
	"qwen3tts":       {join: anyLayer}, "qwen3vl": {join: anyLayer}, "qwen3vlmoe": {join: anyLayer},
	"seed_oss": {join: anyLayer, postNormIsFFN: true},
	// The router of smallthinker reads the layer's input, in front of the attention.
	"smallthinker": {join: sameLayer, swa: &swaRule{4, true, ifPositive}, fixed: []fixedRule{
		{"every fourth layer is without RoPE, which no metadata can change", mixer, smallthinkerRoPE},
	}},
	"smollm3":  {join: anyLayer, fixed: []fixedRule{everyFourth}},
	"stablelm": {join: anyLayer, refine: parallelWithoutNorm},

	"arwkv7":        {why: "its layers reuse the values of the first one", keepOthers: true},
	"deepseek4":     {why: "its layers mix several residual streams", keepOthers: true},
	"gemma3n":       {why: "its layers share keys and values and have inputs of their own", keepOthers: true},
	"gemma4":        {why: "its layers share keys and values and have inputs of their own", keepOthers: true},
	"graniteswitch": {why: "its adapters are bound to the layers", keepOthers: true},
	"hrm_text":      {why: "its layers run in loops", keepOthers: true},
	"hy_v4":         {why: "its layers mix several residual streams", keepOthers: true},
	"kimi-k3":       {why: "its layers read the outputs of earlier ones", keepOthers: true},
	"minicpm3":      {why: "it scales what a layer adds by the number of layers"},
	"minimax-01":    {why: "the decay of its linear attention depends on the layer's index and on the number of layers"},
	"qwen4exp":      {why: "its layers mix several residual streams", keepOthers: true},
	"rwkv6":         {why: "it may halve the residual stream every few layers", keepOthers: true},
	"rwkv6qwen2":    {why: "it may halve the residual stream every few layers", keepOthers: true},
	"rwkv7":         {why: "its layers reuse the values of the first one", keepOthers: true},
	"talkie":        {why: "each of its layers adds the embeddings again"},
}

// traitsOf looks an architecture up; m is used to adjust the traits to the model.
func traitsOf(m *model) traits {
	t, ok := special[m.arch]
	switch {
	case ok:
	case contains(plain, m.arch):
		t = traits{join: anyLayer}
	case contains(parallel, m.arch):
		t = traits{join: sameLayer}
	default:
		t = traits{why: "this tool does not know whether llama.cpp derives anything from its layers' indices", keepOthers: true}
	}
	if t.refine != nil {
		t.refine(m, &t)
	}
	return t
}

// parallelResidual: GPT-NeoX computes attention and FFN from the same input if use_parallel_residual is set.
func parallelResidual(m *model, t *traits) {
	if par, found, err := m.src.Bool(m.key("use_parallel_residual")); err != nil || !found || par {
		t.join = sameLayer
	}
}

// parallelWithoutNorm: StableLM's layers without ffn_norm are parallel.
func parallelWithoutNorm(m *model, t *traits) {
	if _, ok := m.src.Tensor("blk.0.ffn_norm.weight"); !ok {
		t.join = sameLayer
	}
}

// sharedIndexers: from GLM 5.2 on, layers without an indexer of their own use the last one's choice of tokens.
func sharedIndexers(m *model, t *traits) {
	for i := range m.nLayer {
		if _, ok := m.src.Tensor(tensorName(i, "indexer.attn_k.weight")); !ok {
			t.join, t.why, t.keepOthers = keepAll, "its layers share indexers", true
			return
		}
	}
}

// ownIndexer: layers of sparse attention have an indexer, the others do not.
func ownIndexer(m *model, i int) int {
	_, ok := m.src.Tensor(tensorName(i, "indexer.attn_k.weight"))
	return toInt(ok)
}

// llama4Kind: only layers without RoPE use the input of the attention temperature.
func llama4Kind(m *model, i int) int { return toInt(llama4RoPE(m, i, m.nLayer, 0)) }

func leadingDense(m *model, i int) int { return toInt(i < m.intKey("leading_dense_block_count", 0)) }

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ernieMoE(m *model, i, _, lead int) bool {
	step := m.intKey("interleave_moe_layer_step", 0)
	return step > 0 && i >= lead && (i+1)%step == 0
}

func llama4MoE(m *model, i, _, _ int) bool {
	step := m.intKey("interleave_moe_layer_step", 0)
	return step > 0 && (i+1)%step == 0
}

// llama4RoPE: with a window of 0, the step is the number of layers, so that the last layer is without RoPE.
func llama4RoPE(m *model, i, nLayer, _ int) bool {
	step := 4
	if m.intKey("attention.sliding_window", -1) == 0 {
		step = nLayer
	}
	return (i+1)%step != 0
}

// smallthinkerRoPE: the step is 4, or without sliding windows the number of layers, which then means RoPE everywhere.
func smallthinkerRoPE(m *model, i, nLayer, _ int) bool {
	step := 4
	if m.intKey("attention.sliding_window", 0) == 0 {
		step = nLayer
	}
	return step == nLayer || i%step != 0
}
