package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/gguf/gguftest"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// fixture builds models for tests: plain full layers of width 64 unless told otherwise.
type fixture struct {
	arch    string
	layers  int
	kvs     []any // names without the architecture and values in turn
	layer   []string
	extra   []gguftest.Tensor
	typ     gguf.Type
	general []any
}

// llamaLayer are the tensors of a layer of Llama, with their dimensions for heads of 32: 2 of Q, 1 of K and V, FFN 96.
var llamaLayer = []string{
	"attn_norm.weight 64", "attn_q.weight 64 64", "attn_k.weight 64 32", "attn_v.weight 64 32", "attn_output.weight 64 64",
	"ffn_norm.weight 64", "ffn_gate.weight 64 96", "ffn_up.weight 64 96", "ffn_down.weight 96 64",
}

// model is the fixture's content. Its numbers depend on the tensor's name and on the place in it, so that tensors and rows can
// be told apart.
func (f fixture) model() gguftest.Model {
	m := gguftest.Model{KVs: gguftest.KVs("general.architecture", f.arch)}
	m.KVs = append(m.KVs, gguftest.KVs(f.general...)...)
	have := map[string]bool{}
	for i := 0; i < len(f.kvs); i += 2 {
		have[f.kvs[i].(string)] = true
		m.KVs = append(m.KVs, gguftest.KV{Key: f.key(f.kvs[i].(string)), Value: f.kvs[i+1]})
	}
	for name, v := range map[string]any{
		"block_count": uint32(f.layers), "context_length": uint32(128), "embedding_length": uint32(64),
		"feed_forward_length": uint32(96), "attention.head_count": uint32(2), "attention.head_count_kv": uint32(1),
	} {
		if !have[name] {
			m.KVs = append(m.KVs, gguftest.KV{Key: f.key(name), Value: v})
		}
	}
	m.Tensors = append(m.Tensors, f.tensor("token_embd.weight 64 8"))
	layer := f.layer
	if layer == nil {
		layer = llamaLayer
	}
	for i := range f.layers {
		for _, t := range layer {
			m.Tensors = append(m.Tensors, f.tensor(fmt.Sprintf("blk.%d.%s", i, t)))
		}
	}
	m.Tensors = append(m.Tensors, f.tensor("output_norm.weight 64"))
	m.Tensors = append(m.Tensors, f.extra...)
	return m
}

func (f fixture) key(name string) string {
	if strings.HasPrefix(name, "xielu.") || strings.HasPrefix(name, "ggufprune.") {
		return name
	}
	return f.arch + "." + name
}

// tensor reads "name dim dim" and fills it with numbers from its name on. Vectors are F32.
func (f fixture) tensor(s string) gguftest.Tensor {
	fields := strings.Fields(s)
	t := gguftest.Tensor{Name: fields[0], Type: uint32(f.typ)}
	for _, d := range fields[1:] {
		var n uint64
		fmt.Sscan(d, &n)
		t.Dims = append(t.Dims, n)
	}
	h := fnv.New32a()
	h.Write([]byte(t.Name))
	seed := h.Sum32()
	rows := uint64(1)
	for _, d := range t.Dims[1:] {
		rows *= d
	}
	if len(t.Dims) == 1 || f.typ == gguf.F32 {
		t.Type = uint32(gguf.F32)
		for i := range t.Dims[0] * rows {
			t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(float32(seed%16000*1024+uint32(i)+1)))
		}
		return t
	}
	t.Data = make([]byte, uint64(f.typ.RowBytes(t.Dims[0]))*rows)
	for i := range t.Data {
		t.Data[i] = byte(i*7) + byte(seed>>(i%4*8))
	}
	return t
}

// open writes the fixture to a file and opens it.
func (f fixture) open(t *testing.T) *gguf.File {
	t.Helper()
	return openModel(t, f.model())
}

func openModel(t *testing.T, m gguftest.Model) *gguf.File {
	t.Helper()
	file, err := gguf.Open(gguftest.Write(t, t.TempDir(), "source.gguf", m))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// blocksOf finds blocks by name: a layer has a mixer or an FFN if it has such weights other than norms. It is what the
// engine finds in the graphs of ordinary models.
func blocksOf(f *gguf.File) []Block {
	weights := map[blockmask.Block][]string{}
	for _, t := range f.Tensors() {
		layer, rest, ok := arch.SplitName(t.Name)
		if !ok || strings.Contains(rest, "norm") || strings.HasPrefix(rest, "nextn") {
			continue
		}
		kind := blockmask.Mixer
		if strings.HasPrefix(rest, "ffn_") {
			kind = blockmask.FFN
		} else if !strings.HasPrefix(rest, "attn_") && !strings.HasPrefix(rest, "ssm_") {
			continue
		}
		b := blockmask.Block{Layer: layer, Kind: kind}
		weights[b] = append(weights[b], t.Name)
	}
	var blocks []Block
	for b, w := range weights {
		blocks = append(blocks, Block{b, w})
	}
	slices.SortFunc(blocks, func(a, b Block) int { return blockmask.Compare(a.Block, b.Block) })
	return blocks
}

// trunkBlocks are the blocks without those of a multi-token-prediction head of n layers.
func trunkBlocks(f *gguf.File, n int) []Block {
	return slices.DeleteFunc(blocksOf(f), func(b Block) bool { return b.Layer >= n })
}

func mask(t *testing.T, s string) blockmask.Mask {
	t.Helper()
	m, err := blockmask.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// plan builds a layout, which must succeed.
func plan(t *testing.T, f *gguf.File, kind Kind, removed string) *Result {
	t.Helper()
	res, err := Build(Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, removed), Kind: kind})
	if err != nil {
		t.Fatalf("%s without %q: %v", kind, removed, err)
	}
	return res
}

// refusal builds a layout, which must be refused, and returns the reason.
func refusal(t *testing.T, f *gguf.File, kind Kind, removed string) string {
	t.Helper()
	_, err := Build(Request{Source: f, Blocks: blocksOf(f), Removed: mask(t, removed), Kind: kind})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("%s without %q: error %v, want a refusal", kind, removed, err)
	}
	return refused.Reason
}

// written writes the plan and opens the file.
func written(t *testing.T, res *Result) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.gguf")
	p, err := gguf.WriteTemp(context.Background(), path, res.Plan, gguf.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// value reads a metadata key of a plan, nil where it is absent.
func value(t *testing.T, res *Result, key string) any {
	t.Helper()
	m := &metadata.List{KVs: res.Plan.KVs}
	kv, found := m.Get(key)
	if !found {
		return nil
	}
	v, err := kv.Value()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// data reads a tensor's bytes.
func data(t *testing.T, f *gguf.File, name string) []byte {
	t.Helper()
	tensor, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	b := make([]byte, tensor.Size)
	if _, err := f.Data(tensor).Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// floats reads an F32 tensor.
func floats(t *testing.T, f *gguf.File, name string) []float32 {
	t.Helper()
	b := data(t, f, name)
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

func names(res *Result) []string {
	var out []string
	for _, t := range res.Plan.Tensors {
		out = append(out, t.Name)
	}
	return out
}
