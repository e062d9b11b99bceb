package fit_test

import (
	"slices"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/fit/fittest"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	blocks := fittest.New(3).Blocks()
	kept := fit.Kept(blocks, blockmask.New(blocks[1], blocks[5]))
	all := slices.Repeat([]bool{true}, len(blocks))
	for _, c := range []struct {
		mask                string
		before, start, stop int
	}{{"attn:0", -1, 0, 2}, {"attn:1", 0, 2, 3}, {"attn:1,ffn:1", 0, 2, 4}, {"attn:2", 3, 4, 6}} {
		m, _ := blockmask.Parse(c.mask)
		s, err := fit.NewSpan(blocks, kept, m, all)
		if err != nil || s.Before != c.before || s.Start != c.start || s.Stop != c.stop {
			t.Errorf("%s: %+v, %v", c.mask, s, err)
		}
	}
	for _, bad := range []string{"attn:0,ffn:1", "ffn:0"} {
		m, _ := blockmask.Parse(bad)
		if _, err := fit.NewSpan(blocks, kept, m, all); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	all[2] = false // what no repair could change has no map
	m, _ := blockmask.Parse("ffn:1")
	if s, err := fit.NewSpan(blocks, kept, m, all); err != nil || s.Before != -1 || s.Start != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}
