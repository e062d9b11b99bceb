package blockmask

import "testing"

func TestBrief(t *testing.T) {
	t.Parallel()
	kept := func(n int) Indices {
		list := make([]int, n)
		for i := range list {
			list[i] = 2 * i
		}
		x, err := NewIndices(list)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	ffn := func(layer, n int) Cut { return Cut{Block: Block{layer, FFN}, Channels: kept(n)} }
	for want, m := range map[string]Mask{
		"":             nil,
		"attn:3,ffn:7": New(Block{3, Mixer}, Block{7, FFN}),
		"2 mixers, 1 FFN, channels of 2 FFNs (5 to 9 stay)": New(Block{3, Mixer}, Block{5, Mixer}, Block{7, FFN}).Union(Of(ffn(1, 5), ffn(2, 9))),
		"channels of 4 FFNs (5 stay)":                       Of(ffn(1, 5), ffn(3, 5), ffn(5, 5), ffn(7, 5)),
		"1 mixer, channels of 1 FFN (5 stay), experts of 2 FFNs": New(Block{3, Mixer}).Union(Of(
			Cut{Block{1, FFN}, kept(5), kept(3)}, Cut{Block: Block{2, FFN}, Experts: kept(7)})),
	} {
		if got := m.Brief(15); got != want {
			t.Errorf("%s is briefly %q, want %q", m, got, want)
		}
		if got := m.Brief(1000); got != m.String() {
			t.Errorf("with room for it %s is %q", m, got)
		}
	}
}
