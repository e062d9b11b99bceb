package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/search"
)

// TestDecodeOrder reads the form that BlockPruner's code writes. It sorts by layer only: an attention and the FFN of its layer may come in
// either order.
func TestDecodeOrder(t *testing.T) {
	t.Parallel()
	got, err := DecodeOrder([]byte(`{"1": [["mha", 25]], "2": [["mha", 25], ["mha", 27]], "3": [["mlp", 7], ["mha", 25], ["mha", 27]],
		"4": [["mlp", 7], ["mha", 25], ["mlp", 27], ["mha", 27]], "5": [["mha", 0], ["mlp", 7], ["mha", 25], ["mlp", 27], ["mha", 27]]}`))
	var names []string
	for _, b := range got {
		names = append(names, b.String())
	}
	if want := "attn:25 attn:27 ffn:7 ffn:27 attn:0"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("%v, %v; want %s", names, err, want)
	}
}

func TestOrderRoundTrip(t *testing.T) {
	t.Parallel()
	for _, unit := range []blockmask.Unit{blockmask.Mix, blockmask.Attn, blockmask.Ffn} {
		p := sample(t, unit, 3)
		text, err := p.EncodeOrder()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeOrder(text); err != nil || !slices.Equal(got, p.Removed(3)) {
			t.Errorf("%s: %v, %v; the plan removes %v", text, got, err, p.Removed(3))
		}
	}
	p := &Plan{}
	for i, b := range []blockmask.Block{{Layer: 11, Kind: blockmask.FFN}, {Layer: 11}, {Layer: 2}} {
		p.Steps = append(p.Steps, search.Step{Index: i + 1, Removed: blockmask.New(b)})
	}
	want := `{"1": [["mlp", 11]], "2": [["mha", 11], ["mlp", 11]], "3": [["mha", 2], ["mha", 11], ["mlp", 11]]}` + "\n"
	if text, err := p.EncodeOrder(); err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

// TestOrderOfWholeBlocksOnly: the form has no way to say anything else.
func TestOrderOfWholeBlocksOnly(t *testing.T) {
	t.Parallel()
	layer := blockmask.New(blockmask.Block{Layer: 3}, blockmask.Block{Layer: 3, Kind: blockmask.FFN})
	for want, removed := range map[string]blockmask.Mask{
		"step 2 removes attn:3,ffn:3": layer,
		"step 2 removes ffn:3=2":      blockmask.Of(narrow(t, 3, 0, 4)),
	} {
		p := &Plan{Steps: []search.Step{{Removed: blockmask.New(blockmask.Block{})}, {Removed: removed}}}
		if text, err := p.EncodeOrder(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", removed, text, err)
		}
	}
	if _, err := (&Plan{}).EncodeOrder(); err == nil {
		t.Error("a plan without steps has an order")
	}
}

func TestDecodeOrderRefuses(t *testing.T) {
	t.Parallel()
	many := &strings.Builder{}
	for k := range maxBlocks + 1 {
		fmt.Fprintf(many, `,"%d":[]`, k+1)
	}
	for text, want := range map[string]string{
		``:                                       "line 1",
		"{\n\"1\": [[\"mha\", 0]],\n}":           "line 3",
		`[["mha", 0]]`:                           "a JSON array, not an object",
		`null`:                                   "0 removals",
		`{}`:                                     "0 removals",
		"{" + many.String()[1:] + "}":            "4097 removals",
		`{"0": [["mha", 0]]}`:                    `"1" is missing`,
		`{"1": [["mha", 0]], "3": []}`:           `its 2 keys must be the numbers of removals from "1" on, but "2" is missing`,
		`{"01": [["mha", 0]]}`:                   `"1" is missing`,
		`{"format": "ggufprune-plan"}`:           `"1" is missing`,
		`{"1": "mha"}`:                           `key "1": it is a string, not a list of blocks`,
		`{"1": null}`:                            `key "1": it has 0 blocks, not 1`,
		`{"1": []}`:                              `it has 0 blocks, not 1`,
		`{"1": [null]}`:                          `["mha", 3]`,
		`{"1": ["mha"]}`:                         `["mha", 3]`,
		`{"1": [["mha"]]}`:                       `["mha", 3]`,
		`{"1": [["mha", null]]}`:                 `["mha", 3]`,
		`{"1": [["mha", 1, 2]]}`:                 `["mha", 3]`,
		`{"1": [[3, "mha"]]}`:                    `["mha", 3]`,
		`{"1": [["attn", 3]]}`:                   `["mha", 3]`,
		`{"1": [["mha", -1]]}`:                   `["mha", 3]`,
		`{"1": [["mha", 65536]]}`:                `["mha", 3]`,
		`{"1": [["mha", 1.5]]}`:                  `["mha", 3]`,
		`{"1": [["mha", 1e99]]}`:                 `["mha", 3]`,
		`{"1": [["mha", 1]], "2": [["mha", 1]]}`: `key "2": it has 1 blocks, not 2`,
		`{"1": [["mha", 1]], "2": [["mha", 1], ["mha", 1]]}`:                                       `key "2": it has the block ["mha", 1] twice`,
		`{"1": [["mha", 1]], "2": [["mlp", 2], ["mha", 2]]}`:                                       `key "2": it lacks ["mha", 1], which was removed before`,
		`{"1": [["mha", 1]], "2": [["mlp", 1]]}`:                                                   `key "2": it has 1 blocks, not 2`,
		`{"1": [["mha", 1]], "2": [["mha", 1], ["mlp", 2]], "3": [["mha",1],["mha",3],["mlp",3]]}`: `key "3": it lacks ["mlp", 2]`,
	} {
		got, err := DecodeOrder([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%.80s: %v, %v; want %q", text, got, err, want)
		}
	}
	if _, err := DecodeOrder(make([]byte, MaxSize+1)); err == nil {
		t.Error("a file of any size is read")
	}
}

// TestPrefixOfAnOrder: without scores and times, amounts are all that can be asked for.
func TestPrefixOfAnOrder(t *testing.T) {
	t.Parallel()
	p := sample(t, blockmask.Mix, 4)
	p.Order, p.Metric, p.Base = "order.json", "", math.NaN()
	for i := range p.Steps {
		p.Steps[i].Score, p.Steps[i].Size = math.NaN(), 0
	}
	if k, err := p.Prefix(search.Goal{Blocks: 2}, nil); k != 2 || err != nil {
		t.Errorf("%d, %v", k, err)
	}
	var goal *search.GoalError
	for g, want := range map[search.Goal]string{
		{MaxPPLRatio: 2}: "neither scores nor times", {MaxKLD: 2}: "neither scores nor times", {Speedup: 2}: "neither scores nor times",
		{Blocks: 5}: "the order order.json does not go that far: all of it removes 4 blocks",
	} {
		if _, err := p.Prefix(g, nil); !errors.As(err, &goal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", g, err)
		}
	}
}
