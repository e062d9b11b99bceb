package layout

import "fmt"

// checkFirstHeads: the first layer decides whether the model has attention heads, and so head sizes, at all.
func (m *model) checkFirstHeads(slots []slot) string {
	heads := m.perLayer("attention.head_count")
	if heads == nil {
		return ""
	}
	now := heads[slots[0].source(mixer)]
	if (now > 0) == (heads[0] > 0) || now == 0 && m.canLendHeads(heads, slots) {
		return ""
	}
	return "a layer without attention heads would come first, and the first layer's heads decide on head sizes"
}

// canLendHeads: a recurrent layer is told by its 0 key-value heads, so that it may be given a number of heads.
func (m *model) canLendHeads(heads []uint64, slots []slot) bool {
	kv, ok := m.array(m.key("attention.head_count_kv"))
	return m.traits.hybrid && ok && kv.len() >= m.nLayer && m.firstHeads(heads, slots) > 0
}

// firstHeads is the number of heads of the first layer of the file that has any.
func (m *model) firstHeads(heads []uint64, slots []slot) uint64 {
	for _, s := range slots {
		if n := heads[s.source(mixer)]; n > 0 {
			return n
		}
	}
	return heads[0]
}

// writeHeads writes out head sizes that llama.cpp would derive from the first layer's number of heads, and lends the first
// layer heads where it has none.
func (m *model) writeHeads(meta *metadata, slots []slot) error {
	heads := m.perLayer("attention.head_count")
	embd := m.intKey("embedding_length", 0)
	if heads == nil || heads[0] == 0 || embd == 0 {
		return nil
	}
	size := uint32(uint64(embd) / heads[0])
	rot := uint32(m.intKey("attention.key_length", int(size)))
	for name, v := range map[string]uint32{
		"attention.key_length": size, "attention.value_length": size, "rope.dimension_count": rot,
	} {
		if meta.index(m.key(name)) < 0 {
			if err := meta.set(m.key(name), v); err != nil {
				return err
			}
		}
	}
	if heads[slots[0].source(mixer)] > 0 {
		return nil
	}
	a, _ := parseArray(meta.kvs[meta.index(m.key("attention.head_count"))])
	return lendHeads(meta, m.key("attention.head_count"), a, m.firstHeads(heads, slots))
}

// lendHeads gives the first layer n heads.
func lendHeads(meta *metadata, key string, a rawArray, n uint64) error {
	out := make([]int32, a.len())
	v, err := meta.kvs[meta.index(key)].Value()
	if err != nil {
		return err
	}
	for i := range out {
		switch v := v.(type) {
		case []int32:
			out[i] = v[i]
		case []uint32:
			out[i] = int32(v[i])
		default:
			return fmt.Errorf("%s is an array of %s; llama.cpp reads int32 and uint32", key, a.elem)
		}
	}
	out[0] = int32(n)
	return meta.set(key, out)
}
