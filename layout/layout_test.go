package layout

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

func TestParseKind(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Kind{"": Auto, "auto": Auto, "native": Native, "deci": Deci, "zeros": Zeros} {
		if k, err := ParseKind(s); err != nil || k != want {
			t.Errorf("%q: %s, %v", s, k, err)
		}
	}
	if _, err := ParseKind("zero"); err == nil || !strings.Contains(err.Error(), "native, deci or zeros") {
		t.Errorf("zero: %v", err)
	}
	f := fixture{arch: "llama", layers: 2}.open(t)
	if _, err := Build(Request{Source: f, Blocks: blocksOf(f), Kind: "zero"}); err == nil || !strings.Contains(err.Error(), `"zero"`) {
		t.Errorf("Build: %v", err)
	}
}

func TestUnsoundRequests(t *testing.T) {
	t.Parallel()
	llama := fixture{arch: "llama", layers: 2}
	tests := []struct {
		name    string
		m       gguftest.Model
		removed string
		want    string
	}{
		{"unknown block", llama.model(), "attn:7", "attn:7"},
		{"no architecture", gguftest.Model{KVs: gguftest.KVs("general.name", "x"), Tensors: llama.model().Tensors}, "", "no general.architecture"},
		{"no layers", fixture{arch: "llama", kvs: []any{"block_count", uint32(0)}}.model(), "", "llama.block_count is 0"},
		{"too many layers", fixture{arch: "llama", layers: 1, kvs: []any{"block_count", uint32(513)}}.model(), "", "513"},
		{"only a head", fixture{arch: "llama", layers: 2, kvs: []any{"nextn_predict_layers", uint32(2)}}.model(), "", "nextn_predict_layers"},
		{"blocks behind the layers", fixture{arch: "llama", layers: 3, kvs: []any{"block_count", uint32(2)}}.model(), "", "outside the model's 2 layers"},
		{"no blocks", fixture{arch: "llama", layers: 1, layer: []string{"attn_norm.weight 64"}}.model(), "", "no blocks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := openModel(t, tt.m)
			_, err := Build(Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, tt.removed)})
			var refused *RefusedError
			if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q that is no refusal", err, tt.want)
			}
		})
	}
	f := llama.open(t)
	blocks := append(blocksOf(f), Block{Block: blockmask.Block{Layer: 9}})
	if _, err := Build(Request{Source: f, Blocks: blocks}); err == nil || !strings.Contains(err.Error(), "attn:9") {
		t.Errorf("block of a layer that does not exist: %v", err)
	}
}

func TestRefusedError(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]RefusedError{
		"layout deci is impossible for this qwen3 model and mask: it has norms; use zeros": {Deci, "qwen3", "it has norms", "use zeros"},
		"no exact layout exists for this x model and mask: none":                           {Auto, "x", "none", ""},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSizeIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 5, typ: gguf.Q8_0}.open(t)
	for _, removed := range []string{"", "attn:1,ffn:1", "attn:0", "ffn:4", "attn:0-4", "ffn:0-4"} {
		for _, kind := range []Kind{Auto, Zeros} {
			r := Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, removed), Kind: kind}
			size, err := Size(r)
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(written(t, plan(t, f, kind, removed)).Paths()[0])
			if err != nil {
				t.Fatal(err)
			}
			if st.Size() != size {
				t.Errorf("%s without %q: %d bytes, Size says %d", kind, removed, st.Size(), size)
			}
		}
	}
	if _, err := Size(Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, "attn:9")}); err == nil {
		t.Error("Size of an unsound request")
	}
}

// TestAnyMask holds for any mask of any architecture: the file has block_count layers whose tensors come, in order, from what
// remains, nothing is lost, and nothing of what was removed is left but zeros.
func TestAnyMask(t *testing.T) {
	t.Parallel()
	files := map[string]*gguf.File{}
	for _, arch := range []string{"llama", "qwen2", "gemma2", "qwen3", "phi2", "smollm3", "deepseek2", "unheard-of"} {
		files[arch] = fixture{arch: arch, layers: 7, typ: gguf.Q8_0, kvs: []any{"leading_dense_block_count", uint32(2)}}.open(t)
	}
	archs := make([]string, 0, len(files))
	for a := range files {
		archs = append(archs, a)
	}
	slices.Sort(archs)
	rapid.Check(t, func(t *rapid.T) {
		f := files[rapid.SampledFrom(archs).Draw(t, "arch")]
		blocks := blocksOf(f)
		m := blockmask.New()
		for _, b := range blocks {
			if rapid.Bool().Draw(t, b.String()) {
				m = m.With(b.Block)
			}
		}
		kind := rapid.SampledFrom(Kinds).Draw(t, "kind")
		res, err := Build(Request{Source: f, Blocks: blocks, Removed: m, Kind: kind})
		var refused *RefusedError
		if errors.As(err, &refused) && kind != Auto && kind != Zeros {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkOrder(t, blocks, m, res)
		checkTensors(t, f, res)
	})
}

// checkOrder: the halves of the layers are the blocks that remain, in their order.
func checkOrder(t *rapid.T, blocks []Block, m blockmask.Mask, res *Result) {
	var want, got []string
	for _, b := range blocks {
		if !m.Has(b.Block) {
			want = append(want, b.String())
		}
	}
	for _, l := range res.Layers {
		for kind, i := range map[blockmask.Kind]int{blockmask.Mixer: l.Mixer, blockmask.FFN: l.FFN} {
			if i >= 0 && kind == blockmask.Mixer {
				got = append(got, blockmask.Block{Layer: i, Kind: kind}.String())
			}
		}
		if l.FFN >= 0 {
			got = append(got, blockmask.Block{Layer: l.FFN, Kind: blockmask.FFN}.String())
		}
	}
	if !slices.Equal(want, got) {
		t.Fatalf("%s holds %q, want %q", res.Kind, got, want)
	}
}

// checkTensors: names are unique and number the layers from 0 without a gap; every layer can be loaded; sizes add up.
func checkTensors(t *rapid.T, f *gguf.File, res *Result) {
	seen := map[string]bool{}
	most := -1
	for _, p := range res.Plan.Tensors {
		if seen[p.Name] {
			t.Fatalf("%s: %s twice", res.Kind, p.Name)
		}
		seen[p.Name] = true
		if i, _, ok := arch.SplitName(p.Name); ok {
			most = max(most, i)
		}
		want := p.Type.RowBytes(p.Dims[0])
		for _, d := range p.Dims[1:] {
			want *= int64(d)
		}
		if p.Data.Size() != want {
			t.Fatalf("%s: %s has %d bytes, its shape takes %d", res.Kind, p.Name, p.Data.Size(), want)
		}
	}
	if most+1 != len(res.Layers) || most < 0 {
		t.Fatalf("%s: tensors of %d layers, %d reported", res.Kind, most+1, len(res.Layers))
	}
	for i, l := range res.Layers {
		if !seen[arch.TensorName(i, "ffn_down.weight")] {
			t.Fatalf("%s: layer %d has no FFN", res.Kind, i)
		}
		if has := seen[arch.TensorName(i, "attn_output.weight")]; !has && (res.Kind != Deci || l.Mixer >= 0 || i == 0) {
			t.Fatalf("%s: layer %d has no mixer", res.Kind, i)
		}
	}
	meta := &metadata.List{KVs: res.Plan.KVs}
	name := f.Arch()
	if res.Kind == Deci {
		name = "deci"
	}
	kv, _ := meta.Get(name + ".block_count")
	v, err := kv.Value()
	if err != nil || v != uint32(len(res.Layers)) {
		t.Fatalf("%s: block_count %v, %v; %d layers", res.Kind, v, err, len(res.Layers))
	}
}

func ExampleRefusedError() {
	fmt.Println((&RefusedError{Native, "llama", "partial layers would remain (ffn:3 would be missing)", "use deci, zeros or auto, or remove whole layers"}).Error())
	// Output:
	// layout native is impossible for this llama model and mask: partial layers would remain (ffn:3 would be missing); use deci, zeros or auto, or remove whole layers
}
