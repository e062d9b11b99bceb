package search_test

import (
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/searchtest"
)

// What a search removed from SmolLM2-135M for a fifth of its parameters (racing on 19 sequences): attentions first, then FFNs, which are
// three times as large. How many steps it would take was known within a fifth all the time.
func TestStepsOfARealSearch(t *testing.T) {
	t.Parallel()
	order := []string{
		"attn:5", "attn:26", "attn:7", "attn:17", "attn:29", "attn:8", "attn:20", "attn:6", "attn:25", "ffn:16", "attn:14", "ffn:14", "attn:18",
		"ffn:17", "attn:16", "ffn:18", "attn:9", "attn:12", "attn:22", "ffn:13", "attn:15",
	}
	model := &search.Model{Params: map[blockmask.Block]uint64{}, Total: 134_515_008}
	for i := range 30 {
		for kind, params := range map[blockmask.Kind]uint64{blockmask.Mixer: 885_312, blockmask.FFN: 2_654_784} {
			b := blockmask.Block{Layer: i, Kind: kind}
			model.Blocks, model.Params[b] = append(model.Blocks, b), params
		}
	}
	model.Blocks = blockmask.New(model.Blocks...).Blocks()
	goal := search.Goal{Ratio: 0.2}
	var removed blockmask.Mask
	for done := range len(order) + 1 {
		total := done + model.Steps(blockmask.Mix, goal, removed)
		if off := float64(total)/float64(len(order)) - 1; math.Abs(off) > 0.2 {
			t.Errorf("after %d steps: %d expected, there were %d", done, total, len(order))
		}
		if done < len(order) {
			removed = removed.Union(searchtest.Mask(t, order[done]))
		}
	}
	if left := model.Steps(blockmask.Mix, goal, removed); left != 0 {
		t.Errorf("%d steps left at the end", left)
	}
	if n := model.Steps(blockmask.Mix, search.Goal{MaxPPLRatio: 1.1}, nil); n != 0 {
		t.Errorf("a bound of quality tells of %d steps", n)
	}
}
