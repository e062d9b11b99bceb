package fit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

func request(removed string) fit.Request {
	mask, err := blockmask.Parse(removed)
	if err != nil {
		panic(err)
	}
	q := fit.Request{Removed: mask, Method: fit.Full}
	q.Fit, q.Held = fittest.Parts()
	return q
}

// A repair behind a part of a block would be fitted to the wrong stream.
func TestRunRefusesParts(t *testing.T) {
	t.Parallel()
	kept, err := blockmask.NewIndices([]int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	part := blockmask.Mask{{Block: blockmask.Block{Layer: 1, Kind: blockmask.FFN}, Channels: kept}}
	if _, err := fit.Run(t.Context(), nil, nil, fit.Request{Removed: part}); err == nil || !strings.Contains(err.Error(), "ffn:1=2 keeps a part") {
		t.Error(err)
	}
}

func TestRepairLowersTheLoss(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"attn:1", "ffn:2,attn:3", "attn:0", "attn:0,ffn:3"} {
		for _, method := range []fit.Method{fit.Full, fit.Map, fit.Auto} {
			m, q := fittest.New(4), request(removed)
			q.Method = method
			res, err := fit.Run(t.Context(), m, m, q)
			if err != nil {
				t.Fatalf("%s %s: %v", removed, method, err)
			}
			if res.Undone || !(res.NLLAfter < 0.9*res.NLLBefore) || len(res.Weights) == 0 {
				t.Errorf("%s %s: %g, was %g, %d weights", removed, method, res.NLLAfter, res.NLLBefore, len(res.Weights))
			}
			for i := range m.W {
				if data, changed := res.Weights[fittest.Name(i)]; changed != !slices.Equal(m.W[i], m.First[i]) || changed && !slices.Equal(fittest.Decode(data), m.W[i]) {
					t.Errorf("%s %s: the model and the result differ in %s", removed, method, fittest.Name(i))
				}
			}
		}
	}
}

func TestNothingRemovedIsNothingToRepair(t *testing.T) {
	t.Parallel()
	m := fittest.New(3)
	if _, err := fit.Run(t.Context(), m, m, request("")); !errors.Is(err, fit.ErrNothing) {
		t.Error(err)
	}
}

func TestUndone(t *testing.T) {
	t.Parallel()
	m := fittest.New(3)
	m.Flat = true
	res, err := fit.Run(t.Context(), m, m, request("attn:1"))
	if err != nil || !res.Undone || len(res.Weights) != 0 {
		t.Fatalf("%v, %+v", err, res)
	}
	for i := range m.W {
		if !slices.Equal(m.W[i], m.First[i]) {
			t.Errorf("%s was not put back", fittest.Name(i))
		}
	}
}

func TestWhatIsNoPlainProductIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := fittest.New(3)
	m.Post[1] = true
	res, err := fit.Run(t.Context(), m, m, request("attn:1"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(res.Blocks, func(b fit.Block) bool { return b.Block == m.Blocks()[1] })
	if i < 0 || !strings.Contains(res.Blocks[i].Skipped, "more than its output projection") || res.Weights[fittest.Name(1)] != nil {
		t.Errorf("%+v", res.Blocks)
	}
}

func TestTooLittleText(t *testing.T) {
	t.Parallel()
	m, q := fittest.New(2), request("attn:1")
	q.Held = nil
	if _, err := fit.Run(t.Context(), m, m, q); err == nil {
		t.Error("a repair without anything to choose by")
	}
}

func TestExpertsAreRepaired(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"attn:1", "ffn:2,attn:3", "attn:0,ffn:3"} {
		for _, method := range []fit.Method{fit.Full, fit.Map, fit.Auto} {
			m, q := fittest.New(4), request(removed)
			for i := range m.W {
				if i%2 == 1 {
					m.UseExperts(i)
				}
			}
			q.Method = method
			res, err := fit.Run(t.Context(), m, m, q)
			if err != nil {
				t.Fatalf("%s %s: %v", removed, method, err)
			}
			fitted := slices.IndexFunc(res.Blocks, func(b fit.Block) bool { return m.MoE[slices.Index(m.Blocks(), b.Block)] && b.Skipped == "" })
			if fitted < 0 || res.Undone || !(res.NLLAfter < 0.9*res.NLLBefore) {
				t.Errorf("%s %s: %g, was %g, %+v", removed, method, res.NLLAfter, res.NLLBefore, res.Blocks)
			}
			for _, b := range res.Blocks {
				if b.Skipped == "" && !(b.After < b.Before) {
					t.Errorf("%s %s: %+v", removed, method, b)
				}
			}
			for i := range m.W {
				if data, changed := res.Weights[fittest.Name(i)]; changed != !slices.Equal(m.W[i], m.First[i]) || changed && !slices.Equal(fittest.Decode(data), m.W[i]) {
					t.Errorf("%s %s: the model and the result differ in %s", removed, method, fittest.Name(i))
				}
			}
		}
	}
}
