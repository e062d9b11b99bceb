package layout

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/naming"
)

// narrow are the forms of dense FFNs: 96 channels, 64 dimensions.
func narrow() map[string]fixture {
	with := func(extra ...string) []string { return append(slices.Clone(llamaLayer), extra...) }
	fused := []string{
		"attn_norm.weight 64", "attn_qkv.weight 64 128", "attn_output.weight 64 64", "ffn_norm.weight 64", "ffn_up.weight 64 192",
		"ffn_down.weight 96 64",
	}
	noGate := []string{
		"attn_norm.weight 64", "attn_norm.bias 64", "attn_qkv.weight 64 128", "attn_qkv.bias 128", "attn_output.weight 64 64", "attn_output.bias 64",
		"ffn_norm.weight 64", "ffn_norm.bias 64", "ffn_up.weight 64 96", "ffn_up.bias 96", "ffn_down.weight 96 64", "ffn_down.bias 64",
	}
	return map[string]fixture{
		"llama":   {arch: "llama", layers: 4},
		"qwen2":   {arch: "qwen2", layers: 4, layer: with("attn_q.bias 64", "ffn_gate.bias 96", "ffn_up.bias 96", "ffn_down.bias 64")},
		"phi3":    {arch: "phi3", layers: 4, layer: fused},
		"gpt2":    {arch: "gpt2", layers: 4, layer: noGate},
		"gemma":   {arch: "gemma", layers: 4},
		"gemma2":  {arch: "gemma2", layers: 4, layer: with("post_attention_norm.weight 64", "post_ffw_norm.weight 64"), kvs: []any{"attention.sliding_window", uint32(8)}},
		"scales":  {arch: "llama", layers: 4, layer: with("ffn_up.scale 1", "ffn_down.scale 1", "ffn_down.input_scale 1")},
		"openelm": {arch: "openelm", layers: 4, kvs: []any{"feed_forward_length", []int32{96, 96, 96, 96}}},
		"array":   {arch: "llama", layers: 4, kvs: []any{"feed_forward_length", []uint32{96, 96, 96, 96}}},
		"qwen":    {arch: "qwen", layers: 4, kvs: []any{"feed_forward_length", uint32(192)}},
		"mpt":     {arch: "mpt", layers: 4, layer: append(slices.Clone(noGate), "ffn.act.scales 96")},
	}
}

// keep is the mask that keeps these channels of a layer's FFN.
func keep(t testing.TB, layer int, channels ...int) blockmask.Mask {
	t.Helper()
	kept, err := blockmask.NewIndices(channels)
	if err != nil {
		t.Fatal(err)
	}
	return blockmask.Of(blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: kept})
}

// upTo is n channels, every step-th from the first one on.
func upTo(n, step int) (channels []int) {
	for i := range n {
		channels = append(channels, i*step)
	}
	return channels
}

// picked is the plain way: F32 rows of length row, of which the rows and columns given are kept.
func picked(values []float32, row int, rows, columns []int) (out []float32) {
	for _, r := range rows {
		for _, c := range columns {
			out = append(out, values[r*row+c])
		}
	}
	return out
}

// cutPlainly is what a tensor of 64 dimensions and 96 channels becomes.
func cutPlainly(t *testing.T, f *gguf.File, name string, channels []int) []float32 {
	t.Helper()
	values, all := floats(t, f, name), upTo(64, 1)
	_, rest, _ := arch.SplitName(name)
	twice := slices.Clone(channels)
	for _, c := range channels {
		twice = append(twice, 96+c)
	}
	switch tensor, _ := f.Tensor(name); {
	case rest == "ffn_down.weight":
		return picked(values, 96, all, channels)
	case rest == "ffn_up.weight" && tensor.Dims[1] == 192:
		return picked(values, 64, twice, all)
	case rest == "ffn_up.weight", rest == "ffn_gate.weight":
		return picked(values, 64, channels, all)
	case rest == "ffn_up.bias", rest == "ffn_gate.bias", rest == "ffn.act.scales":
		return picked(values, 1, channels, []int{0})
	}
	return values
}

// checkCut holds a native file against its source. channels are those that the FFN of each layer of the source keeps.
func checkCut(t *testing.T, src *gguf.File, r Request, res *Result, channels map[int][]int) {
	t.Helper()
	out := written(t, res)
	if out.Params() != src.Params()-res.ParamsRemoved || res.Exact || res.Plan.Size() != out.Bytes() {
		t.Errorf("%d weights of %d, removed %d; exact: %v; %d bytes, planned %d", out.Params(), src.Params(), res.ParamsRemoved, res.Exact, out.Bytes(), res.Plan.Size())
	}
	if size, err := Size(r); err != nil || size != res.Plan.Size() {
		t.Errorf("Size is %d, %v; the plan's is %d", size, err, res.Plan.Size())
	}
	w, err := Weigh(src, r.Blocks).OfMask(r.Removed)
	if err != nil || w.Params != res.ParamsRemoved {
		t.Errorf("the mask's weight is %+v, %v; Build removes %d weights", w, err, res.ParamsRemoved)
	}
	if m, err := blockmask.ParseKey(value(t, res, "ggufprune.mask").(string)); err != nil || !m.Equal(r.Removed) {
		t.Errorf("ggufprune.mask is %v, %v", m, err)
	}
	before, after := int64(0), int64(0)
	for _, tensor := range src.Tensors() {
		before += tensor.Size
	}
	norms := int64(4 * 64 * r.Removed.Len()) // which Weigh does not count: one for each block of llama's
	for _, tensor := range out.Tensors() {
		after += tensor.Size
		name, from := tensor.Name, -1
		if j, rest, ok := arch.SplitName(tensor.Name); ok {
			from = res.Layers[j].Mixer
			if strings.HasPrefix(rest, "ffn") {
				from = res.Layers[j].FFN
			}
			name = arch.TensorName(from, rest)
		}
		if !slices.Equal(cutPlainly(t, src, name, channels[from]), floats(t, out, tensor.Name)) {
			t.Fatalf("%s is not what is left of %s", tensor.Name, name)
		}
	}
	if before-after != w.Bytes+norms {
		t.Errorf("the file has %d bytes of weights less; the mask's weight is %d and norms of %d", before-after, w.Bytes, norms)
	}
}

func TestCutFFNs(t *testing.T) {
	t.Parallel()
	for name, f := range narrow() {
		src := f.open(t)
		channels, removed := map[int][]int{}, blockmask.Mask(nil)
		for i := range f.layers {
			channels[i] = upTo(40, 2)
			channels[i][39] += i
			removed = removed.Union(keep(t, i, channels[i]...))
		}
		r := Request{Source: src, Blocks: blocksOf(src), Removed: removed}
		res, err := Build(r)
		if err != nil || res.Kind != Native {
			t.Errorf("%s: %+v, %v", name, res, err)
			continue
		}
		checkCut(t, src, r, res, channels)
		var want any = uint32(40)
		switch name {
		case "openelm":
			want = []int32{40, 40, 40, 40}
		case "array":
			want = []uint32{40, 40, 40, 40}
		case "qwen": // counts gate and up
			want = uint32(80)
		}
		if d := cmp.Diff(want, value(t, res, f.arch+".feed_forward_length")); d != "" {
			t.Errorf("%s: feed_forward_length:\n%s", name, d)
		}
	}
}

// TestCutsOfAnyKind: any channels, with and without whole layers gone.
func TestCutsOfAnyKind(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 4}
	src := f.open(t)
	rapid.Check(t, func(rt *rapid.T) {
		width := rapid.IntRange(1, 96).Draw(rt, "width")
		channels, removed := map[int][]int{}, blockmask.Mask(nil)
		gone := rapid.IntRange(-1, 3).Draw(rt, "layer that is gone")
		for i := range f.layers {
			if i == gone {
				removed = removed.With(blockmask.Block{Layer: i}, blockmask.Block{Layer: i, Kind: blockmask.FFN})
				continue
			}
			kept := rapid.Permutation(upTo(96, 1)).Draw(rt, "channels")[:width]
			slices.Sort(kept)
			channels[i] = kept
			removed = removed.Union(keep(t, i, kept...))
		}
		r := Request{Source: src, Blocks: blocksOf(src), Removed: removed}
		res, err := Build(r)
		if err != nil || res.Kind != Native {
			rt.Fatalf("%+v, %v", res, err)
		}
		checkCut(t, src, r, res, channels)
		if got := value(t, res, "llama.feed_forward_length"); got != uint32(width) {
			rt.Fatalf("feed_forward_length is %v, want %d", got, width)
		}
	})
}

// FFNs of different widths need an architecture with a width for each layer.
func TestWidthsDiffer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		kind  Kind
		whole string
		want  any
	}{
		{"openelm", Native, "", []int32{96, 20, 96, 96}},
		{"openelm", Native, "attn:0,ffn:0", []int32{20, 96, 96}},
		{"llama", Deci, "", []int32{96, 20, 96, 96}},
		{"llama", Deci, "attn:0,ffn:2", []int32{96, 20, stubFF, 96}},
		{"llama", Native, "attn:0,ffn:0,attn:2-3,ffn:2-3", uint32(20)},
		{"phi3", Deci, "ffn:3", []int32{96, 20, 96, stubFF}},
		{"scales", Deci, "", []int32{96, 20, 96, 96}},
		{"gemma", "", "", "one width for all layers"},
		{"gpt2", "", "attn:0,ffn:0", "from 20 to 96 channels"},
		{"array", Deci, "attn:0", []int32{96, 20, 96, 96}},
	} {
		src := narrow()[tt.name].open(t)
		channels := upTo(20, 3)
		r := Request{Source: src, Blocks: blocksOf(src), Removed: mask(t, tt.whole).Union(keep(t, 1, channels...))}
		res, err := Build(r)
		if tt.kind == "" {
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want.(string)) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
			continue
		}
		if err != nil || res.Kind != tt.kind || res.Exact {
			t.Errorf("%s without %s: %+v, %v", tt.name, tt.whole, res, err)
			continue
		}
		if d := cmp.Diff(tt.want, value(t, res, src.Arch()+".feed_forward_length")); tt.kind == Native && d != "" {
			t.Errorf("%s without %q:\n%s", tt.name, tt.whole, d)
		}
		if d := cmp.Diff(tt.want, value(t, res, "deci.feed_forward_length")); tt.kind == Deci && d != "" {
			t.Errorf("%s without %q:\n%s", tt.name, tt.whole, d)
		}
		if size, err := Size(r); err != nil || size != written(t, res).Bytes() {
			t.Errorf("Size is %d, %v", size, err)
		}
	}
}

// TestDeciCuts: deci takes a fused projection apart and folds factors, of what the cut leaves.
func TestDeciCuts(t *testing.T) {
	t.Parallel()
	channels := upTo(20, 3)
	for _, name := range []string{"phi3", "scales", "qwen2"} {
		src := narrow()[name].open(t)
		res, err := Build(Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 1, channels...), Kind: Deci})
		if err != nil {
			t.Fatal(err)
		}
		out := written(t, res)
		up, down := cutPlainly(t, src, "blk.1.ffn_up.weight", channels), cutPlainly(t, src, "blk.1.ffn_down.weight", channels)
		switch name {
		case "phi3":
			up = append(floats(t, out, "blk.1.ffn_gate.weight"), floats(t, out, "blk.1.ffn_up.weight")...)
			if d := cmp.Diff(cutPlainly(t, src, "blk.1.ffn_up.weight", channels), up); d != "" {
				t.Errorf("gate and up:\n%s", d)
			}
			up = floats(t, out, "blk.1.ffn_up.weight")
		case "scales":
			for i, s := range [][]float32{up, down} {
				scale := floats(t, src, []string{"blk.1.ffn_up.scale", "blk.1.ffn_down.scale"}[i])[0]
				for k := range s {
					s[k] *= scale
				}
			}
		case "qwen2":
			if d := cmp.Diff(cutPlainly(t, src, "blk.1.ffn_gate.bias", channels), floats(t, out, "blk.1.ffn_gate.bias")); d != "" {
				t.Error(d)
			}
		}
		if d := cmp.Diff(up, floats(t, out, "blk.1.ffn_up.weight")); d != "" {
			t.Errorf("%s: up:\n%s", name, d)
		}
		if d := cmp.Diff(down, floats(t, out, "blk.1.ffn_down.weight")); d != "" {
			t.Errorf("%s: down:\n%s", name, d)
		}
	}
}

// A quantised ffn_down that loses columns takes the contents that a fit made.
func TestCutQuantised(t *testing.T) {
	t.Parallel()
	f := named()
	src := f.open(t)
	removed := blockmask.Mask(nil)
	changed := map[string][]byte{}
	for i := range f.layers {
		channels := upTo(32, 2)
		channels[31] += i
		removed = removed.Union(keep(t, i, channels...))
		name := arch.TensorName(i, "ffn_down.weight")
		changed[name] = bytes.Repeat([]byte{byte(i + 1)}, int(gguf.Q8_0.RowBytes(32)*64))
	}
	r := Request{Source: src, Blocks: blocksOf(src), Removed: removed}
	if _, err := Build(r); err == nil || !strings.Contains(err.Error(), "columns of blk.0.ffn_down.weight cannot be picked from Q8_0") || strings.Contains(err.Error(), "\n") {
		t.Errorf("without contents: %v", err)
	}
	size, err := Size(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Changed = changed
	res, err := Build(r)
	if err != nil {
		t.Fatal(err)
	}
	out := written(t, res)
	if out.Bytes() != size {
		t.Errorf("%d bytes; Size said %d", out.Bytes(), size)
	}
	for i := range f.layers {
		name := arch.TensorName(i, "ffn_down.weight")
		if tensor, _ := out.Tensor(name); tensor.Type != gguf.Q8_0 || !slices.Equal(tensor.Dims, []uint64{32, 64}) || !bytes.Equal(data(t, out, name), changed[name]) {
			t.Errorf("%s: %s%v", name, tensor.Type, tensor.Dims)
		}
		up, row := arch.TensorName(i, "ffn_up.weight"), int(gguf.Q8_0.RowBytes(64))
		last := 62 + i
		if d := data(t, out, up); !bytes.Equal(d[31*row:], data(t, src, up)[last*row:(last+1)*row]) || len(d) != 32*row {
			t.Errorf("the last row of %s is not row %d, or it has %d bytes", up, last, len(d))
		}
	}
	if w, err := Weigh(src, r.Blocks).OfMask(removed); err != nil || w.Params != res.ParamsRemoved || w.Bytes != int64(f.layers)*3*64*64/32*34 {
		t.Errorf("the mask's weight is %+v, %v", w, err)
	}
	if label := value(t, res, "general.size_label"); label != naming.SizeLabel(out.Params(), 0, 0) || label == naming.SizeLabel(src.Params(), 0, 0) {
		t.Errorf("size label %v of %d weights, from %d", label, out.Params(), src.Params())
	}
	for want, harm := range map[string]func(*Request){
		"cannot be changed: it is no output projection of this size": func(r *Request) {
			r.Changed = map[string][]byte{}
			for name, b := range changed {
				r.Changed[name] = append(slices.Clone(b), b...)
			}
		},
		"ffn:0 keeps 40 channels, and a row of blk.0.ffn_down.weight in Q8_0 is a multiple of 32; keep 32": func(r *Request) {
			r.Removed = keep(t, 0, upTo(40, 1)...)
		},
		"keep 32, or remove the whole block": func(r *Request) { r.Removed = keep(t, 0, upTo(31, 1)...) },
		"keeps channel 96; the FFN has 96":   func(r *Request) { r.Removed = keep(t, 0, 3, 96) },
	} {
		bad := r
		harm(&bad)
		if _, err := Build(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The type that counts is the one that is written, and an outline is never written.
func TestOutline(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "llama", layers: 1, typ: gguf.Q8_0}
	src := f.open(t)
	const name = "blk.0.ffn_down.weight"
	r := Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 0, upTo(40, 2)...), Types: map[string]gguf.Type{name: gguf.F16}}
	res, err := Outline(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.gguf")
	if _, err := gguf.WriteTemp(context.Background(), path, res.Plan, gguf.WriteOptions{}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("an outline was written: %v", err)
	}
	r.Changed = map[string][]byte{name: make([]byte, 2*40*64)}
	full, err := Build(r)
	if err != nil || full.Plan.Size() != res.Plan.Size() || full.Kind != res.Kind || full.ParamsRemoved != res.ParamsRemoved {
		t.Errorf("%+v, %v; the outline is %+v", full, err, res)
	}
}

func TestCutsThatAreRefused(t *testing.T) {
	t.Parallel()
	with := func(extra ...string) []string { return append(slices.Clone(llamaLayer), extra...) }
	experts := append(slices.Clone(llamaLayer[:6]), "ffn_gate_inp.weight 64 8", "ffn_up_exps.weight 64 96 8", "ffn_down_exps.weight 96 64 8")
	for want, f := range map[string]fixture{
		"ffn_sub_norm.weight may have something for each channel": {arch: "bitnet", layer: with("ffn_sub_norm.weight 96")},
		"ffn_act.scales may have something":                       {arch: "mpt", layer: with("ffn_act.scales 96")},
		"ffn_gate.lora_b may have something":                      {arch: "llama", layer: with("ffn_gate.lora_b 4 96")},
		"ffn_up.scale is [96]":                                    {arch: "llama", layer: with("ffn_up.scale 96")},
		"mixture of experts":                                      {arch: "qwen3moe", layer: experts},
		"follows deepseek.feed_forward_length, too":               leadOf("deepseek", 1),
		"over all channels":                                       {arch: "gemma3n"},
		"does not know the architecture":                          {arch: "somethingnew"},
		"has rows of 96; the metadata means 192":                  {arch: "llama", kvs: []any{"feed_forward_length", uint32(192)}},
		"ffn_gate.weight has 90 rows; the metadata means 96": {arch: "llama", layer: []string{
			"attn_output.weight 64 64", "ffn_gate.weight 64 90", "ffn_up.weight 64 96", "ffn_down.weight 96 64",
		}},
		"no ffn_up and ffn_down": {arch: "rwkv6", layer: []string{"attn_output.weight 64 64", "ffn_key.weight 64 96"}},
		"has no width":           {arch: "llama", kvs: []any{"feed_forward_length", uint32(0)}},
	} {
		f.layers = 2
		src := f.open(t)
		r := Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 1, upTo(32, 1)...)}
		for _, kind := range Kinds {
			r.Kind = kind
			_, err := Build(r)
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Layout != kind || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", kind, err, want)
			}
			if _, err := Weigh(src, r.Blocks).OfMask(r.Removed); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("OfMask: %v, want %q", err, want)
			}
		}
	}
	src := fixture{arch: "llama", layers: 2}.open(t)
	r := Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 1, 1, 2), Kind: Zeros}
	if _, err := Build(r); err == nil || !strings.Contains(err.Error(), "ffn:1=2 keeps a part of a block") {
		t.Errorf("zeros: %v", err)
	}
	some, _ := blockmask.ParseIndices("0-1")
	r.Kind, r.Removed = Auto, blockmask.Of(blockmask.Cut{Block: blockmask.Block{Layer: 1, Kind: blockmask.FFN}, Experts: some})
	if _, err := Build(r); err == nil || !strings.Contains(err.Error(), "ffn:1=2x keeps some of the experts") {
		t.Errorf("experts: %v", err)
	}
}

// The layers of a multi-token-prediction head keep their width, so that an architecture of one width keeps all of them.
func TestCutBesideAPredictionHead(t *testing.T) {
	t.Parallel()
	f := fixture{arch: "qwen35", layers: 3, kvs: []any{"nextn_predict_layers", uint32(1)}}
	src := f.open(t)
	removed := keep(t, 0, upTo(32, 1)...).Union(keep(t, 1, upTo(32, 3)...))
	r := Request{Source: src, Blocks: trunkBlocks(src, 2), Removed: removed}
	if _, err := Build(r); err == nil || !strings.Contains(err.Error(), "from 32 to 96 channels (those of the multi-token-prediction head") {
		t.Errorf("one width: %v", err)
	}
	f.arch, f.kvs = "openelm", append(f.kvs, "feed_forward_length", []uint32{96, 96, 96})
	src = f.open(t)
	r.Source = src
	res, err := Build(r)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]uint32{32, 32, 96}, value(t, res, "openelm.feed_forward_length")); d != "" {
		t.Error(d)
	}
}

// leadOf is a model of two layers, of which layer dense has a dense FFN, and the other one experts and one that is shared.
func leadOf(name string, dense int, kvs ...any) fixture {
	f := fixture{arch: name, layers: 2, layer: llamaLayer[:6], kvs: kvs}
	for _, t := range llamaLayer[6:] {
		f.extra = append(f.extra, f.tensor(fmt.Sprintf("blk.%d.%s", dense, t)))
	}
	for _, t := range []string{
		"ffn_gate_inp.weight 64 8", "ffn_gate_exps.weight 64 32 8", "ffn_up_exps.weight 64 32 8", "ffn_down_exps.weight 32 64 8",
		"ffn_up_shexp.weight 64 32", "ffn_down_shexp.weight 32 64",
	} {
		f.extra = append(f.extra, f.tensor(fmt.Sprintf("blk.%d.%s", 1-dense, t)))
	}
	return f
}

// The dense layers of a model of experts lose channels where the experts have a width of their own.
func TestCutBesideExperts(t *testing.T) {
	t.Parallel()
	src := leadOf("deepseek", 0, "leading_dense_block_count", uint32(1), "expert_feed_forward_length", uint32(32)).open(t)
	channels := upTo(40, 2)
	r := Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 0, channels...)}
	res, err := Build(r)
	if err != nil || res.Kind != Native {
		t.Fatalf("%+v, %v", res, err)
	}
	out := written(t, res)
	if got := value(t, res, "deepseek.feed_forward_length"); got != uint32(40) {
		t.Errorf("feed_forward_length is %v", got)
	}
	for _, tensor := range src.Tensors() {
		want := floats(t, src, tensor.Name)
		if l, _, ok := arch.SplitName(tensor.Name); ok && l == 0 {
			want = cutPlainly(t, src, tensor.Name, channels)
		}
		if !slices.Equal(want, floats(t, out, tensor.Name)) {
			t.Errorf("%s is something else", tensor.Name)
		}
	}
	r.Removed = keep(t, 1, upTo(16, 1)...)
	var refused *RefusedError
	if _, err := Build(r); !errors.As(err, &refused) || !strings.Contains(err.Error(), "mixture of experts") {
		t.Errorf("the layer of experts: %v", err)
	}
}

// What a part of an FFN is fitted to may be unquantised, too; all the channels are no cut.
func TestCutUnquantisedChanged(t *testing.T) {
	t.Parallel()
	src := fixture{arch: "llama", layers: 1}.open(t)
	const name = "blk.0.ffn_down.weight"
	contents := make([]byte, 0, 4*30*64)
	for i := range 30 * 64 {
		contents = binary.LittleEndian.AppendUint32(contents, math.Float32bits(float32(i)))
	}
	r := Request{Source: src, Blocks: blocksOf(src), Removed: keep(t, 0, upTo(30, 3)...), Changed: map[string][]byte{name: contents}}
	res, err := Build(r)
	if err != nil || !bytes.Equal(data(t, written(t, res), name), contents) {
		t.Errorf("%+v, %v", res, err)
	}
	r.Changed, r.Removed = nil, keep(t, 0, upTo(96, 1)...)
	if res, err = Build(r); err != nil || res.ParamsRemoved != 0 || value(t, res, "llama.feed_forward_length") != uint32(96) {
		t.Errorf("%+v, %v", res, err)
	}
}
