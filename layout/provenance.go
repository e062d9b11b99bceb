package layout

import (
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Provenance says where a pruned file comes from; it ends up in its metadata.
type Provenance struct {
	SourceSHA256 string
	Metric       string            // what the scores are, e.g. "perplexity"
	Calibration  string            // what they were measured on
	Tool         string            // this tool with its version
	LlamaCpp     string            // the llama.cpp that measured
	Removed      []blockmask.Block // in the order of removal; nil: in the mask's order
	BaseScore    float64           // of the whole model
	Scores       []float64         // after each of Removed
	Repair       *RepairRecord     // nil: nothing was repaired
}

// RepairRecord says what a repair changed.
type RepairRecord struct {
	Tensors     []string  // the changed tensors, by their names in the source
	Methods     []string  // of each: full or map
	Lambdas     []float64 // of each
	Types       []string  // of each, such as Q6_K, where types were raised; nil: each has its own
	Calibration string
	Positions   int     // tokens that it was fitted on and chosen by
	NLLBefore   float64 // mean on the part that it was chosen by, nats
	NLLAfter    float64
}

// The keys of our own namespace. A file that is pruned again keeps those of its source under ggufprune.parent.*.
//
//	ggufprune.layout          string    native, deci or zeros
//	ggufprune.mask            string    the removed blocks, "attn:3,ffn:7-9"
//	ggufprune.removed         [string]  the same, one by one in the order of removal
//	ggufprune.layers.mixer    [int32]   for each layer of this file, the source's layer that its mixer comes from; -1 = none
//	ggufprune.layers.ffn      [int32]   the same for the FFN
//	ggufprune.params_removed  uint64    weights in the removed blocks
//	ggufprune.params_total    uint64    weights in the source
//	ggufprune.source.sha256   string    of the source's bytes
//	ggufprune.metric          string    and, where a search chose the blocks:
//	ggufprune.calibration     string
//	ggufprune.base_score      float64   of the source
//	ggufprune.scores          [float64] after each block of ggufprune.removed
//	ggufprune.repair.tensors  [string]  where a repair changed weights: which, by their names in the source
//	ggufprune.repair.methods  [string]  of each, full or map
//	ggufprune.repair.lambdas  [float64] of each
//	ggufprune.repair.types    [string]  of each, where --repair-type raised types
//	ggufprune.repair.calibration, .positions (uint64), .nll_before, .nll_after (float64)
//	ggufprune.tool            string
//	ggufprune.llama_cpp       string
//
// Empty ones are left out.
const namespace = "ggufprune."

// addProvenance updates general.* by the GGUF conventions, so that the source becomes the base model, and adds our own keys.
func addProvenance(meta *metadata, m *model, p Provenance, res *Result) error {
	meta.rename(namespace, namespace+"parent.")
	if err := addBaseModel(meta, m); err != nil {
		return err
	}
	if err := addNames(meta, m, res); err != nil {
		return err
	}
	removed := p.Removed
	if removed == nil {
		removed = m.removed.Blocks()
	}
	var mixers, ffns []int32
	for _, l := range res.Layers {
		mixers, ffns = append(mixers, int32(l.Mixer)), append(ffns, int32(l.FFN))
	}
	pairs := []any{
		"layout", string(res.Kind),
		"mask", m.removed.String(),
		"removed", blockNames(removed),
		"layers.mixer", mixers,
		"layers.ffn", ffns,
		"params_removed", res.ParamsRemoved,
		"params_total", res.ParamsTotal,
		"source.sha256", p.SourceSHA256,
		"metric", p.Metric,
		"calibration", p.Calibration,
		"tool", p.Tool,
		"llama_cpp", p.LlamaCpp,
	}
	if len(p.Scores) > 0 {
		pairs = append(pairs, "base_score", p.BaseScore, "scores", p.Scores)
	}
	if r := p.Repair; r != nil {
		pairs = append(pairs, "repair.tensors", r.Tensors, "repair.methods", r.Methods, "repair.lambdas", r.Lambdas,
			"repair.calibration", r.Calibration, "repair.positions", uint64(r.Positions), "repair.nll_before", r.NLLBefore, "repair.nll_after", r.NLLAfter)
		if len(r.Types) > 0 {
			pairs = append(pairs, "repair.types", r.Types)
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if err := meta.set(namespace+pairs[i].(string), pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func blockNames(blocks []blockmask.Block) []string {
	names := []string{}
	for _, b := range blocks {
		names = append(names, b.String())
	}
	return names
}

// baseModelKeys are the keys of general.* that describe the source, and what they are called of a base model.
var baseModelKeys = [][2]string{
	{"name", "name"},
	{"author", "author"},
	{"version", "version"},
	{"organization", "organization"},
	{"description", "description"},
	{"url", "url"},
	{"repo_url", "repo_url"},
	{"doi", "doi"},
	{"uuid", "uuid"},
}

// addBaseModel makes the source the one base model. doi and uuid were the source's own and move there.
func addBaseModel(meta *metadata, m *model) error {
	meta.delete(func(key string) bool { return strings.HasPrefix(key, "general.base_model.") })
	if err := meta.set("general.base_model.count", uint32(1)); err != nil {
		return err
	}
	for _, k := range baseModelKeys {
		kv, ok := m.src.KV("general." + k[0])
		if !ok {
			continue
		}
		kv.Key = "general.base_model.0." + k[1]
		meta.put(kv)
	}
	meta.delete(func(key string) bool { return key == "general.doi" || key == "general.uuid" })
	return nil
}

// addNames updates the name, the size label and the fine-tune.
func addNames(meta *metadata, m *model, res *Result) error {
	old, _ := str(m, "general.size_label")
	label := m.sizeLabel(res.ParamsRemoved)
	if name, ok := str(m, "general.name"); ok {
		if err := meta.set("general.name", prunedName(name, old, label)); err != nil {
			return err
		}
	}
	tune, _ := str(m, "general.finetune")
	return meta.setAll("general.size_label", label, "general.finetune", prunedTune(tune))
}

// prunedName: "Llama 3.2 3B Instruct" becomes "Llama 3.2 2.6B Instruct pruned".
func prunedName(name, oldLabel, label string) string {
	words := strings.Fields(name)
	if i := slices.IndexFunc(words, func(w string) bool { return oldLabel != "" && strings.EqualFold(w, oldLabel) }); i >= 0 {
		words[i] = label
		name = strings.Join(words, " ")
	}
	if strings.HasSuffix(strings.ToLower(name), "pruned") {
		return name
	}
	return name + " pruned"
}

func prunedTune(tune string) string {
	switch {
	case tune == "":
		return "pruned"
	case strings.HasSuffix(strings.ToLower(tune), "pruned"):
		return tune
	}
	return tune + "-pruned"
}

// str reads a string of the metadata; anything else counts as absent.
func str(m *model, key string) (string, bool) {
	s, found, err := m.src.Str(key)
	return s, found && err == nil && s != ""
}
