package plan

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/fuzztest"
	"github.com/ggufprune/ggufprune/search"
)

// FuzzDecodePlan reads any bytes as a plan. What is one can be written and read again, and any goal finds how many of its steps reach it or
// a reason why none does.
func FuzzDecodePlan(f *testing.F) {
	data, err := sample(f, blockmask.Whole, 4).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"ggufprune-plan","version":1}`))
	f.Add([]byte(evil(f, `"candidates": [`, `"candidates": [{"block":null,"score":1},`)))
	f.Add([]byte(evil(f, `"steps": [`, `"steps": [`+strings.Repeat("{},", 5000))))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Bounded(t, len(data), func() {
			p, err := Decode(data)
			if err != nil {
				fuzztest.OneLine(t, err, 6*len(data))
				return
			}
			text, err := p.Encode()
			if err != nil {
				t.Fatalf("a plan that was read cannot be written: %v", err)
			}
			again, err := Decode(text)
			if err != nil {
				t.Fatalf("a plan that was written cannot be read: %v", err)
			}
			if twice, err := again.Encode(); err != nil || !bytes.Equal(twice, text) {
				t.Errorf("%s\nbecame\n%s, %v", text, twice, err)
			}
			for _, goal := range []search.Goal{{Ratio: 0.5}, {Blocks: 1}, {Size: 1}, {Speedup: 1.1}, {MaxPPLRatio: 1.5}, {MaxKLD: 0.1}, {Blocks: math.MaxInt}} {
				if k, err := p.Prefix(goal, nil); err != nil {
					fuzztest.OneLine(t, err, len(data))
				} else if k < 0 || k > len(p.Steps) {
					t.Errorf("%+v: %d of %d steps", goal, k, len(p.Steps))
				}
			}
			for k := range len(p.Steps) + 1 {
				p.Mask(k)
			}
		})
	})
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"1": [["mha", 25]], "2": [["mlp", 7], ["mha", 25]]}`))
	f.Add([]byte(`{"1": [["mha", 1e99]], "1": null, "01": [[]]}`))
	f.Add([]byte(`{"18446744073709551616": [["mha", 65535]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzztest.Bounded(t, len(text), func() {
			order, err := DecodeOrder(text)
			if err != nil {
				fuzztest.OneLine(t, err, 6*len(text))
				return
			}
			p := &Plan{}
			for _, b := range order {
				p.Steps = append(p.Steps, search.Step{Removed: blockmask.New(b)})
			}
			again, err := p.EncodeOrder()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := DecodeOrder(again); err != nil || !slices.Equal(got, order) {
				t.Errorf("%v became %v, %v", order, got, err)
			}
		})
	})
}
