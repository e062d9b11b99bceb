package blockmask

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	removed := New(Block{0, FFN}, Block{1, Mixer}, Block{1, FFN})
	for unit, want := range map[Unit]string{
		Mix:   "[attn:0 attn:2 ffn:2]",
		Attn:  "[attn:0 attn:2]",
		Ffn:   "[ffn:2]",
		Whole: "[attn:0 attn:2,ffn:2]",
		Pairs: "[attn:2,ffn:2]",
	} {
		if got := fmt.Sprint(Candidates(unit, model(3), removed)); got != want {
			t.Errorf("Candidates(%s) = %s, want %s", unit, got, want)
		}
	}
	if got := Candidates(Mix, nil, nil); len(got) != 0 {
		t.Errorf("Candidates of no blocks = %v", got)
	}
}

// Candidates are disjoint, cover what is left of their kinds exactly once, and come in the order of ties.
func TestCandidatesPartitionWhatIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		blocks := model(rapid.IntRange(1, 8).Draw(t, "layers"))
		removed := genMask(8).Draw(t, "removed")
		unit := rapid.SampledFrom([]Unit{Mix, Attn, Ffn, Whole}).Draw(t, "unit")
		var all []Block
		cands := Candidates(unit, blocks, removed)
		for _, c := range cands {
			all = append(all, c.Blocks()...)
			if unit != Whole && len(c) != 1 {
				t.Fatalf("candidate %v of %s", c, unit)
			}
		}
		want := slices.DeleteFunc(slices.Clone(blocks), func(b Block) bool {
			return removed.Has(b) || unit == Attn && b.Kind != Mixer || unit == Ffn && b.Kind != FFN
		})
		if !slices.Equal(all, want) {
			t.Fatalf("%s candidates hold %v, want %v", unit, all, want)
		}
		if !slices.IsSortedFunc(cands, CompareMasks) {
			t.Fatalf("candidates out of order: %v", cands)
		}
	})
}

// However many pairs go, in any order, full layers are left, and all of them but one can go.
func TestPairsLeaveFullLayers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		layers := rapid.IntRange(1, 8).Draw(t, "layers")
		blocks := model(layers)
		var removed Mask
		for left := layers; left > 1; left-- {
			cands := Candidates(Pairs, blocks, removed)
			if len(cands) != 2*left-1 || !slices.IsSortedFunc(cands, CompareMasks) {
				t.Fatalf("candidates of %d layers: %v", left, cands)
			}
			removed = removed.Union(rapid.SampledFrom(cands).Draw(t, "pair"))
			paired := Pair(blocks, removed)
			if len(paired) != left-1 || slices.ContainsFunc(paired, func(l Layer) bool { return !l.Full() }) {
				t.Fatalf("removing %v leaves %v", removed, paired)
			}
		}
	})
}

// A mixer without an FFN of its own pairs with what stands next to it in what is left, never with another mixer.
func TestPairsOfIrregularModels(t *testing.T) {
	t.Parallel()
	blocks := []Block{{0, Mixer}, {1, Mixer}, {1, FFN}, {2, FFN}, {3, Mixer}}
	got := fmt.Sprint(Candidates(Pairs, blocks, nil), Candidates(Pairs, blocks, New(Block{1, Mixer}, Block{1, FFN})))
	if want := "[attn:1,ffn:1 ffn:2,attn:3] [attn:0,ffn:2 ffn:2,attn:3]"; got != want {
		t.Errorf("pairs %s, want %s", got, want)
	}
}

func TestParseUnit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Unit{"mix": Mix, "ATTN": Attn, "mha": Attn, "mlp": Ffn, " ffn ": Ffn, "layer": Whole, "Pair": Pairs} {
		if got, err := ParseUnit(in); err != nil || got != want {
			t.Errorf("ParseUnit(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := ParseUnit("heads"); err == nil || !strings.Contains(err.Error(), "mix, attn, ffn, layer") {
		t.Errorf("ParseUnit(heads): %v", err)
	}
}
