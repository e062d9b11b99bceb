package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/layout"
)

func fullBlocks(layers int) []blockmask.Block {
	var blocks []blockmask.Block
	for i := range layers {
		blocks = append(blocks, blockmask.Block{Layer: i, Kind: blockmask.Mixer}, blockmask.Block{Layer: i, Kind: blockmask.FFN})
	}
	return blocks
}

func TestLayoutCases(t *testing.T) {
	for layers := 2; layers < 9; layers++ {
		blocks := fullBlocks(layers)
		got := map[string]layoutCase{}
		for _, c := range layoutCases(blocks) {
			if err := c.mask.Check(blocks); err != nil || c.mask.Len() == 0 || c.mask.Len() == len(blocks) {
				t.Errorf("%d layers, %s: mask %s of %d blocks, %v", layers, c.name, c.mask, len(blocks), err)
			}
			got[c.name] = c
		}
		whole := got["a layers"].mask
		if want := 2 * min(2, layers-1); whole.Len() != want || got["a layers"].partial {
			t.Errorf("%d layers: (a) removes %s, want %d blocks of whole layers", layers, whole, want)
		}
		for _, name := range []string{"b attn", "c ffn", "d random"} {
			if !got[name].partial {
				t.Errorf("%d layers: (%s) %s leaves no partial layer", layers, name, got[name].mask)
			}
		}
		if c := got["e between"]; c.partial || c.mask.String() != "ffn:0,attn:1" {
			t.Errorf("%d layers: (e) is %s", layers, c.mask)
		}
	}
	// A model of mixers only, as Mamba: no FFN to remove.
	mixers := []blockmask.Block{{Layer: 0}, {Layer: 1}, {Layer: 2}}
	for _, c := range layoutCases(mixers) {
		if c.name == "c ffn" || c.name == "e between" {
			t.Errorf("%s for a model without FFN: %s", c.name, c.mask)
		}
	}
}

func TestDiff(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		want, got    []float32
		exact, loose bool
	}{
		{[]float32{1, -2}, []float32{1, -2}, true, true},
		{[]float32{1, -2}, []float32{1, -2.01}, false, true},
		{[]float32{1, -2}, []float32{1, -2.5}, false, false},
		{[]float32{1, -2}, []float32{1, nan}, false, false},
		{[]float32{1, nan}, []float32{1, nan}, true, true},
		{[]float32{1, 2}, []float32{1}, false, false},
		{[]float32{0, 0}, []float32{0, 1e-9}, false, false},
	}
	for _, tt := range tests {
		d := compare(tt.want, tt.got)
		if d.within(true) != tt.exact || d.within(false) != tt.loose {
			t.Errorf("%v and %v: %+v, exact %v, tolerated %v", tt.want, tt.got, d, d.within(true), d.within(false))
		}
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	sw := &layoutSweep{out: &out}
	c := layoutCase{name: "b attn", mask: blockmask.New(blockmask.Block{Layer: 3})}
	sw.report("m", c, &layout.Result{Kind: layout.Deci, Exact: true}, diff{}, nil)
	sw.report("m", c, &layout.Result{Kind: layout.Deci, Exact: true}, diff{maxAbs: 1e-9, nmse: 1e-20}, nil)
	sw.report("m", c, &layout.Result{Kind: layout.Zeros}, diff{maxAbs: 1e-9, nmse: 1e-20}, nil)
	sw.report("m", c, nil, diff{}, &layout.RefusedError{Layout: layout.Auto, Arch: "m", Reason: "because"})
	sw.report("m", c, nil, diff{}, errors.New("cannot load"))
	if sw.ok != 2 || sw.refused != 1 || sw.wrong != 2 {
		t.Errorf("%d ok, %d refused, %d wrong; want 2, 1, 2\n%s", sw.ok, sw.refused, sw.wrong, out.String())
	}
	for _, want := range []string{"deci", "WRONG", "zeros", "because", "cannot load", "attn:3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
