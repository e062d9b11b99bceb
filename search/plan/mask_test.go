package plan

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// partsPlan is a plan whose steps cut blocks, whole or in part.
func partsPlan(t testing.TB, cuts []blockmask.Mask) *Plan {
	p := sample(t, blockmask.Mix, 1)
	p.Steps = nil
	for i, m := range cuts {
		s := search.Step{Index: i + 1, Removed: m, Score: 2, ParamsRemoved: uint64(i + 1), Ratio: float64(i+1) / float64(p.Model.Params)}
		s.Candidates = []search.Candidate{{Mask: m, Score: 2, Sequences: i}}
		p.Steps = append(p.Steps, s)
	}
	return p
}

func narrow(t testing.TB, layer int, list ...int) blockmask.Cut {
	t.Helper()
	kept, err := blockmask.NewIndices(list)
	if err != nil {
		t.Fatal(err)
	}
	return blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}, Channels: kept}
}

// A plan that keeps parts comes back from its file, and has the version that older programs refuse; one of whole blocks has theirs.
func TestPlanWithPartsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var masks []blockmask.Mask
		var removed blockmask.Mask
		for layer := range 4 {
			c := blockmask.Cut{Block: blockmask.Block{Layer: layer, Kind: blockmask.FFN}}
			if rapid.Bool().Draw(rt, "channels") {
				c = narrow(t, layer, rapid.SliceOfN(rapid.IntRange(0, 99), 1, 50).Draw(rt, "kept")...)
			}
			if rapid.Bool().Draw(rt, "experts") {
				c.Experts = narrow(t, layer, rapid.SliceOfN(rapid.IntRange(0, 9), 1, 9).Draw(rt, "kept")...).Channels
			}
			m := blockmask.Of(c)
			if rapid.Bool().Draw(rt, "with the mixer") {
				m = m.With(blockmask.Block{Layer: layer, Kind: blockmask.Mixer})
			}
			masks, removed = append(masks, m), removed.Union(m)
		}
		p := partsPlan(t, masks)
		p.Model.Channels = rapid.SampledFrom([][]int{nil, {100, 100, 200, 0}}).Draw(rt, "widths")
		data, err := p.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			rt.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			rt.Fatalf("-written +read\n%s", diff)
		}
		if !got.Mask(4).Equal(removed) {
			rt.Fatalf("all steps remove %v, want %v", got.Mask(4), removed)
		}
		version := []byte(`"version": 1,`)
		if removed.WholeBlocks() != nil {
			version = []byte(`"version": 2,`)
		}
		if !bytes.Contains(data, version) {
			rt.Fatalf("no %s in\n%s", version, data)
		}
	})
}

// A step may narrow what is narrow already, but must take something.
func TestPlanNarrowsStepByStep(t *testing.T) {
	t.Parallel()
	whole := blockmask.New(blockmask.Block{Layer: 1, Kind: blockmask.FFN})
	first, second := blockmask.Of(narrow(t, 1, 0, 1, 2, 3)), blockmask.Of(narrow(t, 1, 2, 3, 4))
	p := partsPlan(t, []blockmask.Mask{first, second, whole})
	if _, err := p.Encode(); err != nil {
		t.Error(err)
	}
	if got := p.Mask(2); !got.Equal(blockmask.Of(narrow(t, 1, 2, 3))) || len(p.Removed(2)) != 0 || !slices.Equal(p.Removed(3), whole.Blocks()) {
		t.Errorf("two steps leave %v of it; removed %v", got, p.Removed(3))
	}
	for _, masks := range [][]blockmask.Mask{{first, first}, {second.Union(first), second}, {whole, first}} {
		if _, err := partsPlan(t, masks).Encode(); err == nil || !strings.Contains(err.Error(), "was removed before") {
			t.Errorf("%v: %v", masks, err)
		}
	}
}

func TestEvilParts(t *testing.T) {
	t.Parallel()
	data, err := partsPlan(t, []blockmask.Mask{blockmask.Of(narrow(t, 1, 0, 1, 2, 3))}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"version": 2`, `"version": 1`, "version 1 has whole blocks only"},
		{`"version": 2`, `"version": 3`, "version 3, this program reads 1 and 2"},
		{`"text": "ffn:1=4"`, `"text": "ffn:1=5"`, `step 1: a mask's text is "ffn:1=5"`},
		{`"channels": "0-3"`, `"channels": "3-0"`, "step 1: the range of indices"},
		{`"removed": {`, `"removed": 7, "x": {`, `"steps.removed" must not be a number`},
		{`"blocks": "attn:0-3,ffn:0-3"`, `"blocks": {"text":"attn:0-3,ffn:0=1,ffn:1-3","kept":[{"block":"ffn:0","channels":"0"}]}`, "model.blocks has ffn:0=1"},
		{`"ffn:1`, `"attn:1`, "part of a mixer"},
		{`"blocks": "attn:0-3,ffn:0-3"`, `"blocks": "attn:0-3,ffn:0-3", "ffn_channels": [9, 3]`, "step 1: removed: ffn:1=4 keeps channel 3; by model.ffn_channels it has 3"},
		{`"blocks": "attn:0-3,ffn:0-3"`, `"blocks": "attn:0-3,ffn:0-3", "ffn_channels": [-1]`, "-1 channels in layer 0"},
		{`"blocks": "attn:0-3,ffn:0-3"`, `"blocks": "attn:0-3,ffn:0-3", "ffn_channels": [1,1,1,1,1,1,1,1,1]`, "has 9 layers"},
	} {
		text := strings.ReplaceAll(string(data), tt.old, tt.new)
		if _, err := Decode([]byte(text)); text == string(data) || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.new, err, tt.want)
		}
	}
}

// A file that a program before the parts wrote is read, and written again as it was.
func TestPlanOfWholeBlocksStays(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/plan-whole-blocks.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("-old +new\n%s", diff)
	}
	if got := p.Mask(2); got.Len() != 4 {
		t.Errorf("two steps remove %s", got)
	}
}
