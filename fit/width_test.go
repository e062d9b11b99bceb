package fit_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

func ffn(layer int) blockmask.Block { return blockmask.Block{Layer: layer, Kind: blockmask.FFN} }

// The channels that go are zeros in the model and missing in the file, the others are the same in both; and the fit wins back most of
// what cutting the same channels costs.
func TestWidth(t *testing.T) {
	t.Parallel()
	const keep = 6
	m, q := fittest.New(4), request("")
	q.Widths = map[blockmask.Block]int{ffn(1): keep, ffn(2): keep}
	res, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Narrowed) != 2 || res.Undone {
		t.Fatalf("%+v", res)
	}
	plain := fittest.New(4) // the same channels gone, nothing fitted
	for b, n := range res.Narrowed {
		i := slices.Index(m.Blocks(), b)
		data := fittest.Decode(n.Data)
		if n.Kept.Len() != keep || len(data) != keep*fittest.Width {
			t.Fatalf("%s keeps %v, %d weights", b, n.Kept, len(data))
		}
		at := 0
		for o := range fittest.Width {
			for c := range fittest.Features {
				w := m.W[i][o*fittest.Features+c]
				if !n.Kept.Contains(c) {
					plain.W[i][o*fittest.Features+c] = 0
					if w != 0 {
						t.Fatalf("%s: channel %d is gone, but weighs %v", b, c, w)
					}
					continue
				}
				if data[at] != w {
					t.Fatalf("%s: the file has %v in channel %d, the model %v", b, data[at], c, w)
				}
				at++
			}
		}
	}
	if fitted, cut := heldLoss(t, m, q), heldLoss(t, plain, q); !(fitted < 0.5*cut) || fitted == 0 {
		t.Errorf("loss %v, without a fit %v", fitted, cut)
	}
}

// All channels are a plain repair's matter: nothing is lost, and nothing changes where both streams are the same.
func TestWidthOfAllChannels(t *testing.T) {
	t.Parallel()
	m, q := fittest.New(3), request("")
	q.Widths = map[blockmask.Block]int{ffn(1): fittest.Features}
	res, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.Index(m.Blocks(), ffn(1))
	for j, w := range m.W[i] {
		if d := w - m.First[i][j]; d > 1e-4 || d < -1e-4 {
			t.Fatalf("weight %d moved from %v to %v", j, m.First[i][j], w)
		}
	}
	if n := res.Narrowed[ffn(1)]; n.Kept.Len() != fittest.Features {
		t.Errorf("kept %v", n.Kept)
	}
}

// An attention that runs side by side with the FFN, whatever its form is: each is fitted to what is left for it.
func TestWidthBesideAnAttention(t *testing.T) {
	t.Parallel()
	const keep = 6
	m, q := fittest.New(3), request("")
	m.Wait[0], m.Wait[2] = true, true
	m.Post[2] = true
	q.Widths = map[blockmask.Block]int{ffn(0): keep, ffn(1): keep}
	res, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range res.Blocks {
		i := slices.Index(m.Blocks(), b.Block)
		switch {
		case i > 3:
		case i == 0 && (b.Method != fit.Full || !(b.After < b.Before)):
			t.Errorf("%s: %+v", b.Block, b)
		case i == 2 && (!strings.Contains(b.Skipped, "more than its") || !slices.Equal(m.W[i], m.First[i])):
			t.Errorf("%s: %+v", b.Block, b)
		case i%2 == 1 && (b.Method != fit.Width || res.Narrowed[b.Block].Kept.Len() != keep || !(b.After < b.Before)):
			t.Errorf("%s: %+v", b.Block, b)
		}
	}
	plain := fittest.New(3) // the same channels gone, nothing fitted
	plain.Wait, plain.Post = m.Wait, m.Post
	for b, n := range res.Narrowed {
		i := slices.Index(m.Blocks(), b)
		for j := range plain.W[i] {
			if !n.Kept.Contains(j % fittest.Features) {
				plain.W[i][j] = 0
			}
		}
	}
	if fitted, cut := heldLoss(t, m, q), heldLoss(t, plain, q); !(fitted < 0.5*cut) || fitted == 0 {
		t.Errorf("loss %v, without a fit %v", fitted, cut)
	}
}

// withNorms is a model of four layers with norms behind some blocks, one of whose rows has no say.
func withNorms() *fittest.Toy {
	m := fittest.New(4)
	for i := 1; i < len(m.Blocks()); i++ {
		m.Norm[i] = []float32{0.4, 0.2, -0.3, 0.5, 0.1, 0}
	}
	return m
}

// Behind a norm a projection is fitted to the direction of what is missing.
func TestWidthBehindANorm(t *testing.T) {
	t.Parallel()
	const keep = 6
	m, q := withNorms(), request("")
	q.Widths = map[blockmask.Block]int{ffn(1): keep, ffn(2): keep}
	res, err := fit.Run(t.Context(), m, m, q)
	if err != nil {
		t.Fatal(err)
	}
	plain := withNorms() // the same channels gone, nothing fitted
	for b, n := range res.Narrowed {
		i := slices.Index(m.Blocks(), b)
		data := fittest.Decode(n.Data)
		for j := range plain.W[i] {
			o, c := j/fittest.Features, j%fittest.Features
			if !n.Kept.Contains(c) {
				plain.W[i][j] = 0
			} else if m.W[i][j] != data[o*keep+slices.Index(slices.Collect(n.Kept.All()), c)] {
				t.Fatalf("%s: the file and the model differ", b)
			}
			if o == 5 && m.W[i][j] != plain.W[i][j] {
				t.Errorf("%s: a row that the norm ignores has changed", b)
			}
		}
	}
	for _, b := range res.Blocks {
		if b.Block.Kind == blockmask.FFN && b.Block.Layer < 3 && b.Block.Layer > 0 && (b.Method != fit.Width || b.Lambda == 0 || !(b.After < b.Before)) {
			t.Errorf("%+v", b)
		}
	}
	if fitted, cut := heldLoss(t, m, q), heldLoss(t, plain, q); !(fitted < 0.7*cut) || fitted == 0 {
		t.Errorf("loss %v, without a fit %v", fitted, cut)
	}
}

// A repair fits them, too; a map has no form for that, and a search does not count on it.
func TestRepairBehindANorm(t *testing.T) {
	t.Parallel()
	for method, want := range map[fit.Method]bool{fit.Full: true, fit.Auto: true, fit.Map: false} {
		m, q := withNorms(), request("attn:2,ffn:2")
		q.Method = method
		res, err := fit.Run(t.Context(), m, m, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range res.Blocks {
			if !want && !strings.Contains(b.Skipped, "which a map has no form for") {
				t.Errorf("%s: %+v", method, b)
			}
			if b.Skipped == "" && !(b.After < b.Before) {
				t.Errorf("%s: %+v", method, b)
			}
		}
		if want == res.Undone || want && !(res.NLLAfter < 0.95*res.NLLBefore) {
			t.Errorf("%s: %v, was %v, undone %v", method, res.NLLAfter, res.NLLBefore, res.Undone)
		}
	}
	m, q := withNorms(), request("")
	can, err := fit.Mappable(t.Context(), m, m, q.Fit[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range can {
		if ok != (i == 0) {
			t.Errorf("block %d: mappable %v", i, ok)
		}
	}
}

// heldLoss is the sum of the held part's losses.
func heldLoss(t *testing.T, m *fittest.Toy, q fit.Request) (total float64) {
	t.Helper()
	for _, batch := range q.Held {
		rows, err := m.EvalFrom(t.Context(), batch, nil, 0, fittest.Embed(batch))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, l := range row {
				total += l
			}
		}
	}
	return total
}

func TestWidthRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(m *fittest.Toy, q *fit.Request){
		"cannot keep":      func(_ *fittest.Toy, q *fit.Request) { q.Widths[ffn(1)] = fittest.Features + 1 },
		"more than its":    func(m *fittest.Toy, _ *fit.Request) { m.Post[3] = true },
		"only a dense FFN": func(m *fittest.Toy, _ *fit.Request) { m.UseExperts(3) },
	} {
		m, q := fittest.New(3), request("")
		q.Widths = map[blockmask.Block]int{ffn(1): 6}
		spoil(m, &q)
		if _, err := fit.Run(t.Context(), m, m, q); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		for i := range m.W {
			if !slices.Equal(m.W[i], m.First[i]) {
				t.Errorf("%s: the model is changed", name)
			}
		}
	}
}

// With little memory the channels are chosen by their norms, those with nothing behind them first, and sums are of the kept ones alone; the
// fit is the same as with all sums for the same channels. Enough memory changes nothing.
func TestWidthInLittleMemory(t *testing.T) {
	t.Parallel()
	run := func(change func(*fit.Request)) (*fittest.Toy, *fit.Result) {
		m, q := fittest.New(4), request("")
		i := slices.Index(m.Blocks(), ffn(1))
		for o := range fittest.Width {
			for _, c := range []int{2, 5} {
				m.W[i][o*fittest.Features+c], m.First[i][o*fittest.Features+c] = 0, 0
			}
		}
		change(&q)
		res, err := fit.Run(t.Context(), m, m, q)
		if err != nil {
			t.Fatal(err)
		}
		return m, res
	}
	widths := map[blockmask.Block]int{ffn(1): fittest.Features - 2}
	little, res := run(func(q *fit.Request) { q.Widths, q.Memory = widths, 1 })
	kept := res.Narrowed[ffn(1)].Kept
	if kept.Len() != fittest.Features-2 || kept.Contains(2) || kept.Contains(5) {
		t.Fatalf("kept %v", kept)
	}
	chosen, _ := run(func(q *fit.Request) { q.Kept = map[blockmask.Block]blockmask.Indices{ffn(1): kept} })
	for i, all := range chosen.W {
		for j, w := range all {
			if d := float64(w - little.W[i][j]); math.Abs(d) > 1e-4 {
				t.Fatalf("weight %d of block %d is %v, with all sums %v", j, i, little.W[i][j], w)
			}
		}
	}
	plain, _ := run(func(q *fit.Request) { q.Widths = widths })
	enough, _ := run(func(q *fit.Request) { q.Widths, q.Memory = widths, fit.CutBytes(fittest.Features, fittest.Width) })
	if !reflect.DeepEqual(plain.W, enough.W) {
		t.Error("enough memory makes a difference")
	}
}
