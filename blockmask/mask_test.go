package blockmask

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func genBlock(layers int) *rapid.Generator[Block] {
	return rapid.Custom(func(t *rapid.T) Block {
		return Block{
			Layer: rapid.IntRange(0, layers-1).Draw(t, "layer"),
			Kind:  rapid.SampledFrom([]Kind{Mixer, FFN}).Draw(t, "kind"),
		}
	})
}

func genMask(layers int) *rapid.Generator[Mask] {
	return rapid.Custom(func(t *rapid.T) Mask {
		return New(rapid.SliceOfN(genBlock(layers), 0, 20).Draw(t, "blocks")...)
	})
}

// model returns all blocks of a plain model of n layers, in order.
func model(n int) []Block {
	var blocks []Block
	for i := range n {
		blocks = append(blocks, Block{i, Mixer}, Block{i, FFN})
	}
	return blocks
}

func TestString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mask Mask
		want string
	}{
		{nil, ""},
		{New(Block{3, Mixer}), "attn:3"},
		{New(Block{3, FFN}, Block{3, Mixer}), "attn:3,ffn:3"},
		{New(Block{9, FFN}, Block{7, FFN}, Block{3, Mixer}, Block{8, FFN}), "attn:3,ffn:7-9"},
		{New(model(3)...), "attn:0-2,ffn:0-2"},
		{New(Block{1, FFN}, Block{2, FFN}, Block{4, FFN}), "ffn:1-2,ffn:4"},
	} {
		if got := tt.mask.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"  ":                      "",
		"attn:3,ffn:7-9":          "attn:3,ffn:7-9",
		"MHA:1, Mixer:2 ,MLP:0":   "ffn:0,attn:1-2",
		"ffn:7-9,ffn:8,ffn:5-8":   "ffn:5-9",
		"ffn: 1 - 2":              "ffn:1-2",
		"attn:65535":              "attn:65535",
		"attn:0-65535,attn:0-300": "attn:0-65535",
		"ffn:007":                 "ffn:7",
	} {
		m, err := Parse(in)
		if err != nil || m.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, m, err, want)
		}
	}
}

func TestParseErrorsNameThePartAndTheGrammar(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"attn":                `"attn"`,
		"attn:3,":             `""`,
		"attn:3,conv:4":       `unknown kind "conv"`,
		"ffn:":                "layer number is missing",
		"ffn:3-":              "layer number is missing",
		"ffn:-3":              "layer number is missing",
		"ffn:+3":              "is no layer number",
		"ffn:3-4-5":           `"4-5" is no layer number`,
		"ffn:x":               `"x" is no layer number`,
		"ffn:9-7":             "backwards: 9-7",
		"attn:65536":          "above 65535",
		"attn:0-4000000000":   "above 65535",
		"attn:" + long("9"):   "above 65535",
		long("é") + ":1":      "unknown kind",
		"attn:1;ffn:2":        `no layer number`,
		"attn:1\nffn:2\x00\a": `\n`,
	} {
		_, err := Parse(in)
		if err == nil {
			t.Errorf("Parse(%q): no error", in)
			continue
		}
		for _, part := range []string{want, "attn:3,ffn:7-9"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("Parse(%q): %q lacks %q", in, err, part)
			}
		}
		if strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 250 {
			t.Errorf("Parse(%q): error is no short line: %q", in, err)
		}
	}
}

func long(s string) string { return strings.Repeat(s, 500) }

func TestParseOfStringIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := genMask(12).Draw(t, "m")
		got, err := Parse(m.String())
		if err != nil || !got.Equal(m) {
			t.Fatalf("Parse(%q) = %v, %v", m.String(), got, err)
		}
		var back Mask
		if b, err := json.Marshal(m); err != nil || string(b) != strconv.Quote(m.String()) || json.Unmarshal(b, &back) != nil || !back.Equal(m) {
			t.Fatalf("%q is %s in JSON, which is %q", m, b, back)
		}
	})
}

// The set algebra against Go maps.
func TestMaskIsASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := genMask(8).Draw(t, "a"), genMask(8).Draw(t, "b")
		before := slices.Clone(a)
		union, diff := a.Union(b), a.Without(b.Blocks()...)
		for _, x := range model(8) {
			inA, inB := slices.Contains(a.Blocks(), x), slices.Contains(b.Blocks(), x)
			if a.Has(x) != inA || union.Has(x) != (inA || inB) || diff.Has(x) != (inA && !inB) {
				t.Fatalf("%v: a=%v b=%v union=%v diff=%v", x, a, b, union, diff)
			}
		}
		for _, m := range []Mask{union, diff} {
			if !slices.IsSortedFunc(m, compareCuts) || len(slices.Compact(m.Blocks())) != len(m) || m.Len() != len(m) {
				t.Fatalf("%v is not sorted and unique", m)
			}
		}
		if !union.HasAll(a) || !union.HasAll(b) || a.HasAll(union) != union.Equal(a) {
			t.Fatalf("HasAll disagrees: a=%v b=%v", a, b)
		}
		if !a.Equal(before) {
			t.Fatalf("a changed from %v to %v", before, a)
		}
	})
}

func TestWithDoesNotAlias(t *testing.T) {
	t.Parallel()
	base := New(Block{1, Mixer}, Block{2, Mixer})
	x, y := base.With(Block{3, Mixer}), base.With(Block{4, Mixer})
	if !x.Has(Block{3, Mixer}) || !y.Has(Block{4, Mixer}) || x.Has(Block{4, Mixer}) {
		t.Errorf("x=%v y=%v share memory", x, y)
	}
	in := []Block{{5, FFN}, {1, FFN}}
	New(in...)
	if in[0] != (Block{5, FFN}) {
		t.Error("New sorted its caller's slice")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	blocks := model(4)
	if err := New(blocks...).Check(blocks); err != nil {
		t.Error(err)
	}
	err := New(Block{1, FFN}, Block{4, Mixer}, Block{9, FFN}).Check(blocks)
	if err == nil || !strings.Contains(err.Error(), "no block attn:4") || !strings.Contains(err.Error(), "attn:0-3,ffn:0-3") {
		t.Errorf("Check = %v", err)
	}
	if err := New(Block{0, FFN}).Check(nil); err == nil || !strings.Contains(err.Error(), "no blocks that can be removed") {
		t.Errorf("Check without blocks = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "attn:3,ffn:7-9", "MLP:1", "attn:0-4000000000", "ffn:9-7", "attn:1,,", "mixer: 0 - 65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("Parse(%q): error spans lines: %q", s, err)
			}
			return
		}
		if again, err := Parse(m.String()); err != nil || !again.Equal(m) {
			t.Errorf("Parse(%q).String() = %q does not parse to itself: %v", s, m, err)
		}
		if len(m) > 2*(MaxLayer+1) {
			t.Errorf("Parse(%q) holds %d blocks", s, len(m))
		}
	})
}
