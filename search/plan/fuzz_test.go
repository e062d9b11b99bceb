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

// Lists of a million empty things are refused before they take a hundred times their memory. What is in a string is no list.
func TestLongLists(t *testing.T) {
	many := strings.Repeat("{},", 1<<20)
	for name, text := range map[string]string{
		"steps": `"steps": [` + many, "candidates": `"candidates": [` + many, "blocks": `"metric": [` + strings.Repeat("0,", 1<<20) + "0], \"x\": [",
	} {
		old := text[:strings.Index(text, "[")+1]
		if name == "blocks" {
			old = `"steps": [`
		}
		data := []byte(evil(t, old, text))
		fuzztest.Bounded(t, len(data), func() {
			if _, err := Decode(data); err == nil || !strings.Contains(err.Error(), "more than 16384 elements") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	order := []byte("{" + strings.Repeat(`"1":[],`, 1<<20) + `"2":[]}`)
	fuzztest.Bounded(t, len(order), func() {
		if _, err := DecodeOrder(order); err == nil || !strings.Contains(err.Error(), "more than 16384 elements") {
			t.Errorf("an order: %v", err)
		}
	})
	deep := []byte(strings.Repeat("[", 20<<20))
	fuzztest.Bounded(t, len(deep), func() {
		if _, err := Decode(deep); err == nil {
			t.Error("lists in lists are a plan")
		}
	})
	for text, want := range map[string]bool{
		`["` + strings.Repeat(`,`, 20000) + `"]`:                 true,
		`["\"` + strings.Repeat(`,`, 20000) + `"]`:               true,
		`["\\"` + strings.Repeat(`,`, 20000) + `"]`:              false,
		`[` + strings.Repeat("0,", 16382) + `0]`:                 true,
		`[` + strings.Repeat("0,", 16384) + `0]`:                 false,
		`[` + strings.Repeat("[0,0],", 16382) + `{"a":0,"b":0}]`: true,
		`[` + strings.Repeat("]", 9) + strings.Repeat(",", 1e5):  true, // no JSON
		`"` + strings.Repeat(`\`, 9):                             true,
	} {
		if err := checkLists([]byte(text)); (err == nil) != want {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}

// A large plan that is in order takes no more memory than any other reader may.
func TestLargePlan(t *testing.T) {
	var blocks []blockmask.Block
	for layer := range 100 {
		blocks = append(blocks, blockmask.Block{Layer: layer, Kind: blockmask.Mixer}, blockmask.Block{Layer: layer, Kind: blockmask.FFN})
	}
	p := sample(t, blockmask.Mix, 2)
	p.Model.Blocks, p.Model.Params, p.Steps = blockmask.New(blocks...), 1<<40, nil
	for i, b := range blocks[:len(blocks)-1] {
		s := search.Step{Index: i + 1, Removed: blockmask.New(b), Score: 11, ParamsRemoved: uint64(i+1) << 30, Ratio: float64(i+1) / (1 << 10)}
		for _, c := range blocks[i:] {
			s.Candidates = append(s.Candidates, search.Candidate{Mask: blockmask.New(c), Score: 11 + math.Sqrt(float64(len(s.Candidates)))})
		}
		p.Steps = append(p.Steps, s)
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	fuzztest.Bounded(t, len(data), func() {
		if again, err := Decode(data); err != nil || len(again.Steps) != len(p.Steps) {
			t.Errorf("a plan of %d bytes: %v", len(data), err)
		}
	})
}

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
