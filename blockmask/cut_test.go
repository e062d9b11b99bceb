package blockmask

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// channels, experts: what masks of the tests choose from.
const (
	testChannels = 6
	testExperts  = 4
)

func genCut(layers int) *rapid.Generator[Cut] {
	return rapid.Custom(func(t *rapid.T) Cut {
		c := Cut{Block: genBlock(layers).Draw(t, "block")}
		if c.Kind == FFN {
			if rapid.Bool().Draw(t, "of channels") {
				c.Channels = genIndices(testChannels).Draw(t, "channels")
			}
			if rapid.Bool().Draw(t, "of experts") {
				c.Experts = genIndices(testExperts).Draw(t, "experts")
			}
		}
		return c
	})
}

func genParts(layers int) *rapid.Generator[Mask] {
	return rapid.Custom(func(t *rapid.T) Mask { return Of(rapid.SliceOfN(genCut(layers), 0, 8).Draw(t, "cuts")...) })
}

// stays lists what m leaves of a block: channels, then experts behind them; nothing of a block that is gone.
func stays(m Mask, b Block) []int {
	c, touched := m.Cut(b)
	if touched && c.Gone() {
		return nil
	}
	var out []int
	for i := range testChannels {
		if c.Channels.Empty() || c.Channels.Contains(i) {
			out = append(out, i)
		}
	}
	for i := range testExperts {
		if c.Experts.Empty() || c.Experts.Contains(i) {
			out = append(out, testChannels+i)
		}
	}
	return out
}

// Union keeps what both keep; without channels or without experts nothing is left. Equal masks leave the same.
func TestUnionIntersectsWhatStays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genParts(4).Draw(t, "a"), genParts(4).Draw(t, "b"), genParts(4).Draw(t, "c")
		before := slices.Clone(a)
		both := a.Union(b)
		for _, x := range model(4) {
			var want []int
			for _, i := range stays(a, x) {
				if slices.Contains(stays(b, x), i) {
					want = append(want, i)
				}
			}
			if len(want) > 0 && (want[0] >= testChannels || want[len(want)-1] < testChannels) {
				want = nil
			}
			if got := stays(both, x); !slices.Equal(got, want) {
				t.Fatalf("%v: a=%v b=%v: %v stays, want %v", x, a, b, got, want)
			}
			if both.Has(x) != (len(want) == 0) {
				t.Fatalf("%v: a=%v b=%v: Has is %v", x, a, b, both.Has(x))
			}
		}
		if !both.Equal(b.Union(a)) || !a.Union(a).Equal(a) || !both.Union(c).Equal(a.Union(b.Union(c))) {
			t.Fatalf("a=%v b=%v c=%v: union depends on the order", a, b, c)
		}
		if !both.HasAll(a) || !both.HasAll(b) || a.HasAll(b) != both.Equal(a) {
			t.Fatalf("HasAll disagrees: a=%v b=%v", a, b)
		}
		if len(both) != both.Len()+len(both.Parts()) || both.Len() != len(both.Blocks()) || (both.WholeBlocks() == nil) != (len(both.Parts()) == 0) {
			t.Fatalf("%v: %d gone, parts %v", both, both.Len(), both.Parts())
		}
		if !slices.IsSortedFunc(both, compareCuts) || !a.Equal(before) {
			t.Fatalf("%v; a was %v, is %v", both, before, a)
		}
		if (a.Key() == b.Key()) != a.Equal(b) || (CompareMasks(a, b) == 0) != a.Equal(b) || CompareMasks(a, b) != -CompareMasks(b, a) {
			t.Fatalf("keys %q and %q, order %d", a.Key(), b.Key(), CompareMasks(a, b))
		}
	})
}

func TestCutsAreValues(t *testing.T) {
	t.Parallel()
	ffn := Block{7, FFN}
	a := Cut{Block: ffn, Channels: indices(t, "0-3")}
	seen := map[Cut]bool{a: true}
	if !seen[Cut{Block: ffn, Channels: indices(t, "0,1,2,3")}] || seen[Cut{Block: ffn}] {
		t.Error("a cut is no key")
	}
	m := Of(a)
	back := m.Without(ffn)
	if m.Has(ffn) || m.Len() != 0 || len(back) != 0 || !m.With(ffn).Equal(New(ffn)) {
		t.Errorf("%v without is %v, with is %v", m, back, m.With(ffn))
	}
	if c, ok := m.Cut(ffn); !ok || c != a {
		t.Errorf("Cut = %v, %v", c, ok)
	}
	if _, ok := m.Cut(Block{7, Mixer}); ok {
		t.Error("a block that stays has a cut")
	}
	if got := Pair(model(8), m); len(got) != 8 {
		t.Errorf("an FFN of which a part stays is not paired: %v", got)
	}
	if err := m.WholeBlocks(); err == nil || !strings.Contains(err.Error(), "ffn:7=4 keeps a part") {
		t.Errorf("WholeBlocks: %v", err)
	}
}

func TestTextOfParts(t *testing.T) {
	t.Parallel()
	wide, other := indices(t, "0-511,600-1111"), indices(t, "1-1024")
	experts := indices(t, "0-95")
	part := func(layer int, channels, experts Indices) Cut {
		return Cut{Block{layer, FFN}, channels, experts}
	}
	for _, tt := range []struct {
		mask Mask
		want string
	}{
		{Of(part(7, wide, Indices{})), "ffn:7=1024"},
		{Of(part(7, Indices{}, experts)), "ffn:7=96x"},
		{Of(part(7, wide, experts)), "ffn:7=96x+1024"},
		{Of(part(7, wide, Indices{}), part(8, other, Indices{}), part(9, experts, Indices{})), "ffn:7-8=1024,ffn:9=96"},
		{Of(part(6, Indices{}, Indices{}), part(7, wide, Indices{}), part(8, Indices{}, Indices{}), Cut{Block: Block{7, Mixer}}), "ffn:6,attn:7,ffn:7=1024,ffn:8"},
	} {
		if got := tt.mask.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if _, err := Parse(tt.want); err == nil || !strings.Contains(err.Error(), "does not say which") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q): %v", tt.want, err)
		}
	}
	a, b := Of(part(7, wide, Indices{})), Of(part(7, other, Indices{}))
	if a.String() != b.String() || a.Key() == b.Key() || a.Equal(b) {
		t.Errorf("%v and %v: keys %q, %q", a, b, a.Key(), b.Key())
	}
}

func TestCheckOfParts(t *testing.T) {
	t.Parallel()
	kept := indices(t, "0-2")
	if err := Of(Cut{Block: Block{1, FFN}, Channels: kept}).Check(model(4)); err != nil {
		t.Error(err)
	}
	for want, c := range map[string]Cut{
		"no block ffn:4 in":                {Block: Block{4, FFN}, Experts: kept},
		"attn:1=3 keeps a part of a mixer": {Block: Block{1, Mixer}, Channels: kept},
	} {
		if err := Of(c).Check(model(4)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", c, err, want)
		}
	}
}
