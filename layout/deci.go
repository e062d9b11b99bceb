package layout

import (
	"fmt"
	"io"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
)

// stubFF is the FFN length of the stub that a layer without FFN gets. A length of 0 would make llama.cpp's graph leave the
// layer before the attention is added to the residual stream: the attention would be lost, or in the last layer the program.
const stubFF = 32

// heads are the attention heads of a model.
type heads struct {
	size, value, rot int // dimensions of a head of Q and K, of V, and how many of the former are rotated
	count, kv        []int
	ff               []int
}

// heads reads head counts and FFN lengths, one for each layer, and head sizes as llama.cpp does.
func (m *model) heads() heads {
	h := heads{count: m.spread("attention.head_count"), ff: m.spread("feed_forward_length")}
	h.kv = h.count
	if _, ok := m.src.KV(m.key("attention.head_count_kv")); ok {
		h.kv = m.spread("attention.head_count_kv")
	}
	if h.count[0] > 0 {
		h.size = m.intKey("embedding_length", 0) / h.count[0]
	}
	h.value = m.intKey("attention.value_length", h.size)
	h.size = m.intKey("attention.key_length", h.size)
	h.rot = m.intKey("rope.dimension_count", h.size)
	return h
}

// spread reads an integer, or an array with one per layer, as one per layer. 0 stands for what is not there.
func (m *model) spread(name string) []int {
	out := make([]int, m.nLayer)
	v, _, err := m.src.Uints(m.key(name))
	if err != nil || len(v) == 0 {
		return out
	}
	for i := range out {
		switch {
		case len(v) == 1:
			out[i] = int(v[0])
		case i < len(v):
			out[i] = int(v[i])
		}
	}
	return out
}

// deciFile builds the tensors and the per-layer metadata of a deci file.
type deciFile struct {
	m       *model
	d       deciSource
	h       heads
	embd    int
	tensors []gguf.PlanTensor
	// One element for each layer of the file.
	count, kv, ff []int32
	folded        bool // a factor was folded into weights, which rounds
}

// buildDeci stores full and partial layers of the llama family in the architecture deci.
func buildDeci(m *model) (*Result, error) {
	refuse := func(why string) error {
		return &RefusedError{Deci, m.arch, why, "use zeros or auto"}
	}
	d, ok := deciSources[m.arch]
	if !ok {
		return nil, refuse("this architecture is not one that deci can stand for")
	}
	if why := m.cannotBeDeci(d); why != "" {
		return nil, refuse(why)
	}
	f := &deciFile{m: m, d: d, h: m.heads(), embd: m.intKey("embedding_length", 0)}
	for _, t := range m.tensors {
		f.tensors = append(f.tensors, m.copyOf(t, t.Name))
	}
	layers := blockmask.Pair(m.blocks, m.removed)
	if len(layers) == 0 {
		layers = []blockmask.Layer{{Mixer: -1, FFN: -1}} // block_count must not be 0
	}
	for j, l := range layers {
		if err := f.addLayer(j, l); err != nil {
			return nil, err
		}
	}
	meta, why, err := f.metadata()
	if err != nil {
		return nil, err
	}
	if why != "" {
		return nil, refuse(why)
	}
	return &Result{
		Kind: Deci, Exact: !d.neox && !f.folded, Layers: layers, Plan: &gguf.Plan{KVs: meta.kvs, Tensors: f.tensors},
	}, nil
}

// addLayer adds layer j of the file. The first layer keeps an attention, if need be a stub of one head, because head sizes
// come from it; a layer without FFN gets a stub.
func (f *deciFile) addLayer(j int, l blockmask.Layer) error {
	count, kv, ff := 0, 0, stubFF
	switch {
	case l.Mixer >= 0:
		count, kv = f.h.count[l.Mixer], f.h.kv[l.Mixer]
		if err := f.addHalf(j, l.Mixer, mixer); err != nil {
			return err
		}
	case j == 0:
		count, kv = 1, 1
		f.addMixerStub()
	}
	if l.FFN >= 0 {
		ff = f.h.ff[l.FFN]
		if err := f.addHalf(j, l.FFN, ffn); err != nil {
			return err
		}
	} else {
		f.addFFNStub(j)
	}
	f.count, f.kv, f.ff = append(f.count, int32(count)), append(f.kv, int32(kv)), append(f.ff, int32(ff))
	return nil
}

// addHalf adds the tensors of layer i's half to layer j of the file.
func (f *deciFile) addHalf(j, i int, h half) error {
	for _, t := range f.m.layers[i].tensors {
		if t.half != h {
			continue
		}
		rest := f.d.nameOf(t.rest)
		if f.d.drops(rest) {
			continue
		}
		parts, err := f.split(i, rest, t.Tensor)
		if err != nil {
			return err
		}
		for _, p := range parts {
			p.Name = tensorName(j, p.Name)
			f.tensors = append(f.tensors, p)
		}
	}
	return nil
}

// split plans a tensor of layer i: as it is, permuted, or as its parts if it is fused. The names are without "blk.N.".
func (f *deciFile) split(i int, rest string, t gguf.Tensor) ([]gguf.PlanTensor, error) {
	q, kv := f.h.count[i]*f.h.size, f.h.kv[i]*f.h.size
	switch rest {
	case "attn_qkv.weight", "attn_qkv.bias":
		suffix := rest[len("attn_qkv"):]
		return f.parts(t, []part{
			{"attn_q" + suffix, q, f.d.neox}, {"attn_k" + suffix, kv, f.d.neox}, {"attn_v" + suffix, kv, false},
		})
	case "attn_q.weight", "attn_q.bias":
		return f.parts(t, []part{{rest, q, f.d.neox}})
	case "attn_k.weight", "attn_k.bias":
		return f.parts(t, []part{{rest, kv, f.d.neox}})
	case "attn_qkv.scale":
		return []gguf.PlanTensor{f.m.copyOf(t, "attn_q.scale"), f.m.copyOf(t, "attn_k.scale"), f.m.copyOf(t, "attn_v.scale")}, nil
	case "ffn_up.weight":
		if f.d.fusedUp {
			return f.parts(t, []part{{"ffn_gate.weight", f.h.ff[i], false}, {rest, f.h.ff[i], false}})
		}
	}
	if scale := f.m.foldedScale(f.d, i, rest); scale != 1 {
		p, err := f.m.scaled(t, scale)
		p.Name = rest
		f.folded = true
		return []gguf.PlanTensor{p}, err
	}
	return []gguf.PlanTensor{f.m.copyOf(t, rest)}, nil
}

// part is a range of the rows of a tensor.
type part struct {
	name string
	rows int
	neox bool // heads are permuted from NEOX to NORM
}

// parts cuts a tensor into its parts, which make up all of it. A bias has its elements where a matrix has its rows.
func (f *deciFile) parts(t gguf.Tensor, parts []part) ([]gguf.PlanTensor, error) {
	total, unit := t.Rows(), t.Type.RowBytes(t.Dims[0])
	if len(t.Dims) == 1 {
		if t.Type.Quantized() {
			return nil, fmt.Errorf("tensor %s is a quantised vector", t.Name)
		}
		total, unit = int64(t.Dims[0]), t.Type.RowBytes(1)
	}
	var out []gguf.PlanTensor
	at := int64(0)
	for _, p := range parts {
		rows := rowOrder(at, p, f.h.size)
		at += int64(p.rows)
		if at > total {
			break
		}
		planned, err := f.takeRows(t, p, rows, unit, at == total && len(parts) == 1)
		if err != nil {
			return nil, err
		}
		out = append(out, planned)
	}
	if at != total {
		return nil, fmt.Errorf("tensor %s has %d rows; the metadata means %d", t.Name, total, at)
	}
	return out, nil
}

// takeRows plans rows of t, which has unit bytes per row, as a tensor of its own.
func (f *deciFile) takeRows(t gguf.Tensor, p part, rows []int64, unit int64, all bool) (gguf.PlanTensor, error) {
	out := gguf.PlanTensor{Name: p.name, Type: t.Type}
	switch {
	case all && !p.neox:
		return f.m.copyOf(t, p.name), nil
	case len(t.Dims) == 1:
		b := make([]byte, t.Size)
		if _, err := io.ReadFull(f.m.src.Data(t), b); err != nil {
			return out, fmt.Errorf("read tensor %s: %w", t.Name, err)
		}
		var picked []byte
		for _, r := range rows {
			picked = append(picked, b[r*unit:(r+1)*unit]...)
		}
		out.Dims, out.Data = []uint64{uint64(len(rows))}, gguf.Bytes(picked)
	default:
		out.Dims, out.Data = []uint64{t.Dims[0], uint64(len(rows))}, gguf.Rows(f.m.src, t, rows)
	}
	return out, nil
}

// rowOrder lists the rows from at on that make up p; size is the number of dimensions of a head. The pairs of dimensions
// that NEOX rotates, i and i + size/2, become the neighbours 2i and 2i + 1.
func rowOrder(at int64, p part, size int) []int64 {
	rows := make([]int64, p.rows)
	for r := range rows {
		from := r
		if p.neox {
			head, k := r/size*size, r%size
			from = head + k/2 + k%2*(size/2)
		}
		rows[r] = at + int64(from)
	}
	return rows
}

// addMixerStub gives the first layer an attention of one head that adds zero.
func (f *deciFile) addMixerStub() {
	f.addOnes("blk.0.attn_norm.weight")
	for _, name := range []string{"attn_q", "attn_k", "attn_v"} {
		f.addZeros(tensorName(0, name+".weight"), f.embd, f.h.size)
	}
	f.addZeros("blk.0.attn_output.weight", f.h.size, f.embd)
}

// addFFNStub gives layer j an FFN that adds zero.
func (f *deciFile) addFFNStub(j int) {
	f.addOnes(tensorName(j, "ffn_norm.weight"))
	f.addZeros(tensorName(j, "ffn_gate.weight"), f.embd, stubFF)
	f.addZeros(tensorName(j, "ffn_up.weight"), f.embd, stubFF)
	f.addZeros(tensorName(j, "ffn_down.weight"), stubFF, f.embd)
}

// addZeros adds a matrix of zeros with rows of length row.
func (f *deciFile) addZeros(name string, row, rows int) {
	dims := []uint64{uint64(row), uint64(rows)}
	size := gguf.F16.RowBytes(dims[0]) * int64(rows)
	f.tensors = append(f.tensors, gguf.PlanTensor{Name: name, Type: gguf.F16, Dims: dims, Data: gguf.Zeros(size)})
}

// addOnes adds a norm's weight, a vector of ones in F32.
func (f *deciFile) addOnes(name string) {
	b := make([]byte, 0, 4*f.embd)
	for range f.embd {
		b = append(b, 0, 0, 0x80, 0x3f) // 1.0, little-endian
	}
	dims := []uint64{uint64(f.embd)}
	f.tensors = append(f.tensors, gguf.PlanTensor{Name: name, Type: gguf.F32, Dims: dims, Data: gguf.Bytes(b)})
}

// metadata renames the architecture's keys to deci's and writes what differs from layer to layer.
func (f *deciFile) metadata() (meta *metadata, why string, err error) {
	meta = f.m.metadata()
	meta.rename(f.m.arch+".", "deci.")
	meta.delete(func(key string) bool { return strings.HasPrefix(key, "deci.expert_") })
	err = meta.setAll(
		"general.architecture", "deci",
		"deci.block_count", uint32(len(f.count)),
		"deci.attention.head_count", f.count,
		"deci.attention.head_count_kv", f.kv,
		"deci.feed_forward_length", f.ff,
		"deci.attention.key_length", uint32(f.h.size),
		"deci.attention.value_length", uint32(f.h.size),
		"deci.rope.dimension_count", uint32(f.h.rot),
	)
	if err != nil {
		return nil, "", err
	}
	why, err = f.ropeFactors(meta)
	return meta, why, err
}

// ropeFactors: deci loads rope_factors_long and _short for the scaling type longrope only; phi3 uses them for any.
func (f *deciFile) ropeFactors(meta *metadata) (why string, err error) {
	const key = "rope.scaling.type"
	kind, found, err := f.m.src.Str(f.m.key(key))
	if err != nil {
		return "", err
	}
	_, long := f.m.src.Tensor("rope_factors_long.weight")
	_, short := f.m.src.Tensor("rope_factors_short.weight")
	switch {
	case !long && !short, kind == "longrope":
		return "", nil
	case !f.d.longrope:
		return "the model has rope_factors, but its rope.scaling.type is not longrope", nil
	case found && kind != "linear":
		// none ignores the scaling factor and yarn changes the rotation itself; longrope does neither.
		return fmt.Sprintf("it has rope_factors with %s = %s", f.m.key(key), kind), nil
	}
	return "", meta.set("deci."+key, "longrope")
}
