package blockmask

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPair(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		removed string
		want    []Layer
	}{
		{"nothing removed", "", []Layer{{0, 0}, {1, 1}, {2, 2}}},
		{"a whole layer", "attn:1,ffn:1", []Layer{{0, 0}, {2, 2}}},
		{"mixer of one layer, FFN of the next", "ffn:1,attn:2", []Layer{{0, 0}, {1, 2}}},
		{"one mixer", "attn:1", []Layer{{0, 0}, {-1, 1}, {2, 2}}},
		{"first mixer", "attn:0", []Layer{{-1, 0}, {1, 1}, {2, 2}}},
		{"one FFN", "ffn:1", []Layer{{0, 0}, {1, -1}, {2, 2}}},
		{"last FFN", "ffn:2", []Layer{{0, 0}, {1, 1}, {2, -1}}},
		{"all mixers", "attn:0-2", []Layer{{-1, 0}, {-1, 1}, {-1, 2}}},
		{"mixer far before its FFN", "ffn:0,attn:1,ffn:1,attn:2", []Layer{{0, 2}}},
		{"everything", "attn:0-2,ffn:0-2", nil},
	} {
		removed, err := Parse(tt.removed)
		if err != nil {
			t.Fatal(err)
		}
		if got := Pair(model(3), removed); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Pair = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What is paired, read back in order, is what was left; and no two neighbours could be joined further.
func TestPairKeepsEveryBlockInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		blocks := model(rapid.IntRange(0, 10).Draw(t, "layers"))
		removed := genMask(10).Draw(t, "removed")
		layers := Pair(blocks, removed)
		var back []Block
		for i, l := range layers {
			if l.Mixer >= 0 {
				back = append(back, Block{l.Mixer, Mixer})
			}
			if l.FFN >= 0 {
				back = append(back, Block{l.FFN, FFN})
			}
			if n := count(l.Full(), l.MixerOnly(), l.FFNOnly()); n != 1 {
				t.Fatalf("%+v is %d kinds of layer", l, n)
			}
			if i > 0 && layers[i-1].MixerOnly() && l.FFNOnly() {
				t.Fatalf("layers %d and %d of %v make a full one", i-1, i, layers)
			}
		}
		if want := slices.DeleteFunc(slices.Clone(blocks), removed.Has); !slices.Equal(back, want) {
			t.Fatalf("removed %v: %v came back, want %v", removed, back, want)
		}
	})
}

func count(bs ...bool) (n int) {
	for _, b := range bs {
		if b {
			n++
		}
	}
	return n
}
