package narrow

import (
	"math"
	"testing"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/shape"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
)

// An FFN takes as much less time as it has fewer channels, and a block that is gone takes none; what is not measured is not told.
func TestSpeedupOfWidths(t *testing.T) {
	t.Parallel()
	attn, ffn := blockmask.Block{Kind: blockmask.Mixer}, blockmask.Block{Kind: blockmask.FFN}
	n := &Narrower{Job: Job{Blocks: []layout.Block{{Block: attn}, {Block: ffn}}}, full: map[blockmask.Block]int{ffn: 8}}
	mask := func(width int, removed ...blockmask.Block) (blockmask.Mask, shape.Shape) {
		s := shape.Shape{Widths: map[blockmask.Block]int{ffn: width}, Removed: blockmask.New(removed...)}
		m, err := s.Mask(n.full)
		if err != nil {
			t.Fatal(err)
		}
		return m, s
	}
	half, _ := mask(4)
	if got := n.speedup(half); got != 0 {
		t.Errorf("%v, and no time is known", got)
	}
	n.times = &search.Model{Blocks: []blockmask.Block{attn, ffn}, Rest: 1, Times: map[blockmask.Block]float64{attn: 1, ffn: 2}}
	whole, s := mask(8)
	if got := n.speedup(whole); got != 1 || n.mixersLeft(s) != 1 {
		t.Errorf("whole: x%v, %v of the mixers", got, n.mixersLeft(s))
	}
	if got := n.speedup(half); math.Abs(got-4./3) > 1e-12 {
		t.Errorf("half of the channels: x%v", got)
	}
	less, s := mask(4, attn)
	if got := n.speedup(less); got != 2 || n.mixersLeft(s) != 0 {
		t.Errorf("without the attention: x%v, %v of the mixers", got, n.mixersLeft(s))
	}
}
