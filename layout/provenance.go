package layout

import (
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/metadata"
	"github.com/ggufprune/ggufprune/layout/naming"
)

// The keys of our own namespace. A file that is pruned again keeps those of its source under ggufprune.parent.*.
//
//	ggufprune.layout          string    native, deci or zeros
//	ggufprune.mask            string    the removed blocks, "attn:3,ffn:7-9"; with parts of blocks the mask's JSON (blockmask.ParseKey)
//	ggufprune.removed         [string]  the blocks that are gone, one by one in the order of removal
//	ggufprune.layers.mixer    [int32]   for each layer of this file, the source's layer that its mixer comes from; -1 = none
//	ggufprune.layers.ffn      [int32]   the same for the FFN
//	ggufprune.ffn_channels    [int32]   for each layer of the source, how many channels its FFN has; where some of a block went
//	ggufprune.params_removed  uint64    weights in the removed blocks and channels
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
func addProvenance(meta *metadata.List, m *model, p Provenance, res *Result) error {
	meta.Rename(namespace, namespace+"parent.")
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
		"mask", m.removed.Key(),
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
	if len(m.removed.Parts()) > 0 {
		var widths []int32
		for _, n := range m.Widths() {
			widths = append(widths, int32(n))
		}
		pairs = append(pairs, "ffn_channels", widths)
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
		if err := meta.Set(namespace+pairs[i].(string), pairs[i+1]); err != nil {
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

// baseModelKeys are the keys of general.* that describe the source, and are called the same of a base model.
var baseModelKeys = []string{"name", "author", "version", "organization", "description", "url", "repo_url", "doi", "uuid"}

// addBaseModel makes the source the one base model. doi and uuid were the source's own and move there.
func addBaseModel(meta *metadata.List, m *model) error {
	meta.Delete(func(key string) bool { return strings.HasPrefix(key, "general.base_model.") })
	if err := meta.Set("general.base_model.count", uint32(1)); err != nil {
		return err
	}
	for _, k := range baseModelKeys {
		kv, ok := m.File.KV("general." + k)
		if !ok {
			continue
		}
		kv.Key = "general.base_model.0." + k
		meta.Put(kv)
	}
	meta.Delete(func(key string) bool { return key == "general.doi" || key == "general.uuid" })
	return nil
}

// addNames updates the name, the size label and the fine-tune.
func addNames(meta *metadata.List, m *model, res *Result) error {
	old := meta.Str("general.size_label")
	label := m.sizeLabel(res)
	if res.Params == res.ParamsTotal && old != "" {
		label = old // which need not be rounded as ours is
	}
	if name := meta.Str("general.name"); name != "" {
		if err := meta.Set("general.name", naming.Title(name, old, label)); err != nil {
			return err
		}
	}
	return meta.SetAll("general.size_label", label, "general.finetune", naming.FineTune(meta.Str("general.finetune")))
}

// sizeLabel is general.size_label of the file, by all that is in it.
func (m *model) sizeLabel(res *Result) string {
	experts := &gguf.Plan{}
	for _, t := range res.Plan.Tensors {
		if strings.Contains(t.Name, "_exps.") {
			experts.Tensors = append(experts.Tensors, t)
		}
	}
	return naming.SizeLabel(res.Params, experts.Params(), m.Int("expert_count", 0))
}
