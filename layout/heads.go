package layout

import (
	"fmt"

	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/layout/metadata"
)

// checkFirstHeads: the first layer decides whether the model has attention heads, and so head sizes, at all.
func (m *model) checkFirstHeads(slots []slot) string {
	heads := m.PerLayer("attention.head_count")
	if heads == nil {
		return ""
	}
	now := heads[slots[0].source(arch.Mixer)]
	if (now > 0) == (heads[0] > 0) || now == 0 && m.canLendHeads(heads, slots) {
		return ""
	}
	return "a layer without attention heads would come first, and the first layer's heads decide on head sizes"
}

// canLendHeads: a recurrent layer is told by its 0 key-value heads, so that it may be given a number of heads.
func (m *model) canLendHeads(heads []uint64, slots []slot) bool {
	kv, ok := m.Array(m.Key("attention.head_count_kv"))
	return m.Hybrid && ok && kv.Len() >= m.NLayer && m.firstHeads(heads, slots) > 0
}

// firstHeads is the number of heads of the first layer of the file that has any.
func (m *model) firstHeads(heads []uint64, slots []slot) uint64 {
	for _, s := range slots {
		if n := heads[s.source(arch.Mixer)]; n > 0 {
			return n
		}
	}
	return heads[0]
}

// writeHeads writes out head sizes that llama.cpp would derive from the first layer's number of heads, and lends the first
// layer heads where it has none.
func (m *model) writeHeads(meta *metadata.List, slots []slot) error {
	heads := m.PerLayer("attention.head_count")
	embd := m.Int("embedding_length", 0)
	if heads == nil || heads[0] == 0 || embd == 0 {
		return nil
	}
	size := uint32(uint64(embd) / heads[0])
	rot := uint32(m.Int("attention.key_length", int(size)))
	for _, kv := range []struct {
		name  string
		value uint32
	}{{"attention.key_length", size}, {"attention.value_length", size}, {"rope.dimension_count", rot}} {
		if meta.Has(m.Key(kv.name)) {
			continue
		}
		if err := meta.Set(m.Key(kv.name), kv.value); err != nil {
			return err
		}
	}
	if heads[slots[0].source(arch.Mixer)] > 0 {
		return nil
	}
	return lendHeads(meta, m.Key("attention.head_count"), m.firstHeads(heads, slots))
}

// lendHeads gives the first layer n heads. The key has an array.
func lendHeads(meta *metadata.List, key string, n uint64) error {
	kv, _ := meta.Get(key)
	a, _ := metadata.ParseArray(kv)
	v, err := kv.Value()
	if err != nil {
		return err
	}
	out := make([]int32, a.Len())
	for i := range out {
		switch v := v.(type) {
		case []int32:
			out[i] = v[i]
		case []uint32:
			out[i] = int32(v[i])
		default:
			return fmt.Errorf("%s is an array of %s; llama.cpp reads int32 and uint32", key, a.Elem)
		}
	}
	out[0] = int32(n)
	return meta.Set(key, out)
}
