package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/gguf"
)

// What a repair changed is in the file, in the type that it was raised to; every other tensor stays as it was.
func TestChangedTensors(t *testing.T) {
	t.Parallel()
	f := named().open(t)
	const raised, same = "blk.1.attn_output.weight", "blk.1.ffn_down.weight"
	fill := func(name string, typ gguf.Type) []byte {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		return slices.Repeat([]byte{7}, int(typ.RowBytes(tensor.Dims[0])*tensor.Rows()))
	}
	r := Request{
		Source: f, Blocks: blocksOf(f), Removed: mask(t, "attn:2,ffn:2"),
		Changed: map[string][]byte{raised: fill(raised, gguf.F16), same: fill(same, gguf.Q8_0)}, Types: map[string]gguf.Type{raised: gguf.F16},
		Provenance: Provenance{Repair: &RepairRecord{Tensors: []string{raised, same}, Types: []string{"F16", "Q8_0"}}},
	}
	res, err := Build(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, res, "ggufprune.repair.types"); !slices.Equal(got.([]string), []string{"F16", "Q8_0"}) {
		t.Errorf("ggufprune.repair.types is %v", got)
	}
	for _, p := range res.Plan.Tensors {
		src, ok := gguf.SourceOf(p.Data)
		want := gguf.Q8_0
		if p.Name == raised {
			want = gguf.F16
		}
		if isMatrix := len(p.Dims) > 1 && ok; isMatrix && p.Type != want || p.Name == raised && (src.Name != raised || p.Data.Size() != int64(len(r.Changed[raised]))) {
			t.Errorf("%s is %s, from %q, %d bytes", p.Name, p.Type, src.Name, p.Data.Size())
		}
	}
	for want, harm := range map[string]func(*Request){
		"it is no output projection of this size": func(r *Request) { r.Types = nil },
		"cannot have another type":                func(r *Request) { r.Types = map[string]gguf.Type{raised: gguf.F16, "blk.0.ffn_down.weight": gguf.F16} },
		"blk.1.ffn_down.weight cannot be changed": func(r *Request) { r.Types = map[string]gguf.Type{raised: gguf.F16, same: gguf.Q6_K} },
	} {
		bad := r
		harm(&bad)
		if _, err := Build(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
