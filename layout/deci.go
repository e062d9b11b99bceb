package layout

import (
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
	"github.com/ggufprune/ggufprune/layout/tensors"
)

// stubFF is the FFN length of the stub that a layer without FFN gets. A length of 0 would make llama.cpp's graph leave the
// layer before the attention is added to the residual stream: the attention would be lost, or in the last layer the program.
const stubFF = 32

// deciFile builds the tensors and the per-layer metadata of a deci file.
type deciFile struct {
	m       *model
	d       *arch.Deci
	h       arch.Heads
	embd    int
	tensors []gguf.PlanTensor
	// One element for each layer of the file.
	count, kv, ff []int32
}

// buildDeci stores full and partial layers of the llama family in the architecture deci.
func buildDeci(m *model) (res *Result, why string, err error) {
	f := &deciFile{m: m, d: m.Deci, h: m.Heads(), embd: m.Int("embedding_length", 0)}
	for _, t := range m.tensors {
		f.tensors = append(f.tensors, m.contents.Copy(t, t.Name))
	}
	layers := blockmask.Pair(m.blocks, m.removed)
	if len(layers) == 0 {
		layers = []blockmask.Layer{{Mixer: -1, FFN: -1}} // block_count must not be 0
	}
	for j, l := range layers {
		if err := f.addLayer(j, l); err != nil {
			return nil, "", err
		}
	}
	meta, why, err := f.metadata()
	if err != nil || why != "" {
		return nil, why, err
	}
	return &Result{Layers: layers, Plan: &gguf.Plan{KVs: meta.KVs, Tensors: f.tensors}}, "", nil
}

// addLayer adds layer j of the file. The first layer keeps an attention, if need be a stub of one head, because head sizes
// come from it; a layer without FFN gets a stub.
func (f *deciFile) addLayer(j int, l blockmask.Layer) error {
	count, kv, ff := 0, 0, stubFF
	switch {
	case l.Mixer >= 0:
		count, kv = f.h.Count[l.Mixer], f.h.KV[l.Mixer]
		if err := f.addHalf(j, l.Mixer, arch.Mixer); err != nil {
			return err
		}
	case j == 0:
		count, kv = 1, 1
		f.addMixerStub()
	}
	if l.FFN >= 0 {
		ff = f.m.width(l.FFN)
		if err := f.addHalf(j, l.FFN, arch.FFN); err != nil {
			return err
		}
	} else {
		f.addFFNStub(j)
	}
	f.count, f.kv, f.ff = append(f.count, int32(count)), append(f.kv, int32(kv)), append(f.ff, int32(ff))
	return nil
}

// addHalf adds the tensors of layer i's half to layer j of the file.
func (f *deciFile) addHalf(j, i int, h arch.Half) error {
	for _, t := range f.m.layers[i].tensors {
		if t.half != h {
			continue
		}
		rest := f.d.NameOf(t.rest)
		if f.d.Drops(rest) {
			continue
		}
		parts, err := f.split(i, rest, t.Tensor)
		if err != nil {
			return err
		}
		for _, p := range parts {
			p.Name = arch.TensorName(j, p.Name)
			f.tensors = append(f.tensors, p)
		}
	}
	return nil
}

// split plans a tensor of layer i: as it is, permuted, or as its parts if it is fused. The names are without "blk.N.".
func (f *deciFile) split(i int, rest string, t gguf.Tensor) ([]gguf.PlanTensor, error) {
	q, kv, ff := f.h.Count[i]*f.h.Size, f.h.KV[i]*f.h.Size, f.m.width(i)
	var order func(r int) int // of the rows of Q and K
	if f.d.NEOX {
		order = neoxToNorm(f.h.Size)
	}
	from := f.m.contents
	switch rest {
	case "attn_qkv.weight", "attn_qkv.bias":
		suffix := rest[len("attn_qkv"):]
		return from.Split(t, []tensors.Part{
			{Name: "attn_q" + suffix, Rows: q, Order: order}, {Name: "attn_k" + suffix, Rows: kv, Order: order}, {Name: "attn_v" + suffix, Rows: kv},
		})
	case "attn_q.weight", "attn_q.bias":
		return from.Split(t, []tensors.Part{{Name: rest, Rows: q, Order: order}})
	case "attn_k.weight", "attn_k.bias":
		return from.Split(t, []tensors.Part{{Name: rest, Rows: kv, Order: order}})
	case "attn_qkv.scale":
		return []gguf.PlanTensor{from.Copy(t, "attn_q.scale"), from.Copy(t, "attn_k.scale"), from.Copy(t, "attn_v.scale")}, nil
	case "ffn_up.weight":
		if f.d.FusedUp {
			return from.Split(t, []tensors.Part{{Name: "ffn_gate.weight", Rows: ff}, {Name: rest, Rows: ff}})
		}
	}
	if scale := foldedScale(f.m, i, rest); scale != 1 {
		p, err := from.Scaled(t, rest, scale)
		return []gguf.PlanTensor{p}, err
	}
	return []gguf.PlanTensor{from.Copy(t, rest)}, nil
}

// neoxToNorm orders the rows of heads of size dimensions: the pairs that NEOX rotates, i and i + size/2, become the neighbours 2i and
// 2i + 1 that NORM rotates.
func neoxToNorm(size int) func(r int) int {
	return func(r int) int {
		head, k := r/size*size, r%size
		return head + k/2 + k%2*(size/2)
	}
}

// addMixerStub gives the first layer an attention of one head that adds zero.
func (f *deciFile) addMixerStub() {
	f.tensors = append(f.tensors,
		tensors.Ones("blk.0.attn_norm.weight", f.embd),
		tensors.Zeros("blk.0.attn_q.weight", f.embd, f.h.Size),
		tensors.Zeros("blk.0.attn_k.weight", f.embd, f.h.Size),
		tensors.Zeros("blk.0.attn_v.weight", f.embd, f.h.Size),
		tensors.Zeros("blk.0.attn_output.weight", f.h.Size, f.embd),
	)
}

// addFFNStub gives layer j an FFN that adds zero.
func (f *deciFile) addFFNStub(j int) {
	f.tensors = append(f.tensors,
		tensors.Ones(arch.TensorName(j, "ffn_norm.weight"), f.embd),
		tensors.Zeros(arch.TensorName(j, "ffn_gate.weight"), f.embd, stubFF),
		tensors.Zeros(arch.TensorName(j, "ffn_up.weight"), f.embd, stubFF),
		tensors.Zeros(arch.TensorName(j, "ffn_down.weight"), stubFF, f.embd),
	)
}

// metadata renames the architecture's keys to deci's and writes what differs from layer to layer.
func (f *deciFile) metadata() (meta *metadata.List, why string, err error) {
	meta = f.m.metadata()
	meta.Rename(f.m.Arch+".", "deci.")
	meta.Delete(func(key string) bool { return strings.HasPrefix(key, "deci.expert_") })
	err = meta.SetAll(
		"general.architecture", "deci",
		"deci.block_count", uint32(len(f.count)),
		"deci.attention.head_count", f.count,
		"deci.attention.head_count_kv", f.kv,
		"deci.feed_forward_length", f.ff,
		"deci.attention.key_length", uint32(f.h.Size),
		"deci.attention.value_length", uint32(f.h.Size),
		"deci.rope.dimension_count", uint32(f.h.Rot),
	)
	if err != nil {
		return nil, "", err
	}
	why, err = f.ropeFactors(meta)
	return meta, why, err
}

// ropeFactors: deci loads rope_factors_long and _short for the scaling type longrope only; phi3 uses them for any.
func (f *deciFile) ropeFactors(meta *metadata.List) (why string, err error) {
	const key = "rope.scaling.type"
	kind, found, err := f.m.File.Str(f.m.Key(key))
	if err != nil {
		return "", err
	}
	_, long := f.m.File.Tensor("rope_factors_long.weight")
	_, short := f.m.File.Tensor("rope_factors_short.weight")
	switch {
	case !long && !short, kind == "longrope":
		return "", nil
	case !f.d.Longrope:
		return "the model has rope_factors, but its rope.scaling.type is not longrope", nil
	case found && kind != "linear":
		// none ignores the scaling factor and yarn changes the rotation itself; longrope does neither.
		return fmt.Sprintf("it has rope_factors with %s = %s", f.m.Key(key), kind), nil
	}
	return "", meta.Set("deci."+key, "longrope")
}
