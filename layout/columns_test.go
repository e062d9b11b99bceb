package layout

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ggufprune/ggufprune/blockmask"
)

// What follows a matrix's columns finds them in the result, and who looks at the file how wide the source's FFNs were. A file of whole
// blocks has neither.
func TestColumnsAreTold(t *testing.T) {
	t.Parallel()
	f := narrow()["llama"].open(t)
	r := Request{Source: f, Blocks: blocksOf(f), Removed: keep(t, 1, upTo(32, 2)...).Union(keep(t, 3, upTo(64, 1)...)).With(blockmask.Block{Layer: 2})}
	res, err := Build(r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int64{"blk.1.ffn_down.weight": nil, "blk.3.ffn_down.weight": nil}
	for i := range 32 {
		want["blk.1.ffn_down.weight"] = append(want["blk.1.ffn_down.weight"], int64(2*i))
	}
	for i := range 64 {
		want["blk.3.ffn_down.weight"] = append(want["blk.3.ffn_down.weight"], int64(i))
	}
	if diff := cmp.Diff(want, res.Columns); diff != "" {
		t.Error(diff)
	}
	if got := value(t, res, "ggufprune.ffn_channels"); !slices.Equal(got.([]int32), []int32{96, 96, 96, 96}) {
		t.Errorf("the source's widths are %v", got)
	}
	whole := plan(t, f, Auto, "attn:1,ffn:2")
	for _, kv := range whole.Plan.KVs {
		if kv.Key == "ggufprune.ffn_channels" {
			t.Error("a file of whole blocks tells widths")
		}
	}
	if whole.Columns != nil {
		t.Errorf("columns %v", whole.Columns)
	}
}
