package arch

// Heads are the attention heads of a model.
type Heads struct {
	Size, Value, Rot int   // dimensions of a head of Q and K, of V, and how many of the former are rotated
	Count, KV        []int // heads of each layer
}

// Heads reads head counts, one for each layer, and head sizes as llama.cpp does.
func (p Params) Heads() Heads {
	h := Heads{Count: p.Spread("attention.head_count")}
	h.KV = h.Count
	if _, ok := p.File.KV(p.Key("attention.head_count_kv")); ok {
		h.KV = p.Spread("attention.head_count_kv")
	}
	if h.Count[0] > 0 {
		h.Size = p.Int("embedding_length", 0) / h.Count[0]
	}
	h.Value = p.Int("attention.value_length", h.Size)
	h.Size = p.Int("attention.key_length", h.Size)
	h.Rot = p.Int("rope.dimension_count", h.Size)
	return h
}
