package shape

import (
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ggufprune/ggufprune/blockmask"
)

func ffn(layer int) blockmask.Block  { return blockmask.Block{Layer: layer, Kind: blockmask.FFN} }
func attn(layer int) blockmask.Block { return blockmask.Block{Layer: layer, Kind: blockmask.Mixer} }

const (
	full  = 768
	grain = 64
)

// gone is how many channels a shape lacks.
func gone(s Shape) (n int) {
	for _, width := range s.Widths {
		n += full - width
	}
	return n
}

// atLeast is reached when so many channels are gone, and an attention counts as some.
func atLeast(channels, attention int) Fits {
	return func(s Shape) (bool, error) { return gone(s)+attention*len(s.Removed) >= channels, nil }
}

func TestUniform(t *testing.T) {
	t.Parallel()
	all := map[blockmask.Block]int{ffn(0): full, ffn(1): full, ffn(2): full, ffn(3): full}
	s, err := Uniform("", all, nil, grain, atLeast(4*200, 0))
	if err != nil || s.Widths[ffn(0)] != 512 || gone(s) != 4*256 {
		t.Errorf("%v, %v", s, err)
	}
	s, err = Uniform("", all, []blockmask.Block{ffn(0), ffn(3)}, grain, atLeast(2*200, 0))
	if err != nil || s.Widths[ffn(0)] != full || s.Widths[ffn(1)] != 512 {
		t.Errorf("%v, %v", s, err)
	}
	if _, err = Uniform("", all, nil, grain, atLeast(4*full, 0)); err == nil {
		t.Error("all channels may go")
	}
	why := errors.New("no")
	if _, err = Uniform("", all, nil, grain, func(Shape) (bool, error) { return false, why }); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

// Channels go where they cost the least, and all FFNs that cost the same lose the same, but for a grain.
func TestAllocate(t *testing.T) {
	t.Parallel()
	measured := func(layer int, scale float64) FFN {
		return FFN{Block: ffn(layer), Full: full, Widths: []int{512, 256}, Losses: []float64{scale / 9, scale * 4 / 9}, Channel: 1}
	}
	ffns := []FFN{measured(0, 4), measured(1, 1), measured(2, 1), measured(3, 1)}
	s, err := Allocate("", ffns, nil, nil, LeastPart, grain, atLeast(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if n := gone(s); n < 1000 || n >= 1000+grain {
		t.Errorf("%d channels are gone", n)
	}
	if s.Widths[ffn(0)] <= s.Widths[ffn(1)] {
		t.Errorf("the dear FFN keeps %d, a cheap one %d", s.Widths[ffn(0)], s.Widths[ffn(1)])
	}
	if d := s.Widths[ffn(1)] - s.Widths[ffn(3)]; d < -grain || d > grain {
		t.Errorf("equal FFNs keep %d and %d", s.Widths[ffn(1)], s.Widths[ffn(3)])
	}
	// An attention that costs nothing goes first; one that costs much stays.
	wholes := []Whole{{attn(0), 1e-9, 300}, {attn(1), 100, 300}}
	s, err = Allocate("", ffns, wholes, nil, LeastPart, grain, atLeast(1000, 300))
	if err != nil || !s.Removed.Has(attn(0)) || s.Removed.Has(attn(1)) {
		t.Errorf("%v, %v", s.Removed, err)
	}
	if n := gone(s); n < 700 || n >= 700+grain {
		t.Errorf("%d channels are gone beside an attention", n)
	}
	s, err = Allocate("", ffns, nil, []blockmask.Block{ffn(1)}, LeastPart, grain, atLeast(1000, 0))
	if err != nil || s.Widths[ffn(1)] != full || gone(s) < 1000 {
		t.Errorf("with one spared: %v, %v", s.Widths, err)
	}
	if _, err := Allocate("", ffns, nil, nil, LeastPart, grain, atLeast(4*full, 0)); err == nil {
		t.Error("all channels may go")
	}
}

// Whatever was measured, the shape reaches the goal, keeps whole grains, and none of its FFNs is below the least part.
func TestAllocateProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ffns []FFN
		for l := range rapid.IntRange(1, 6).Draw(t, "layers") {
			ffns = append(ffns, FFN{
				Block: ffn(l), Full: full, Widths: []int{512, 256}, Channel: 1,
				Losses: []float64{rapid.Float64Range(-0.1, 3).Draw(t, "a"), rapid.Float64Range(-0.1, 9).Draw(t, "b")},
			})
		}
		want := rapid.IntRange(1, len(ffns)*full*3/4).Draw(t, "want")
		least := rapid.SampledFrom([]float64{LeastPart, 0.1, 0}).Draw(t, "least")
		s, err := Allocate("", ffns, nil, nil, least, grain, atLeast(want, 0))
		if err != nil {
			t.Fatal(err)
		}
		if n := gone(s); n < want || n >= want+grain {
			t.Fatalf("%d channels are gone, %d were asked for", n, want)
		}
		for b, width := range s.Widths {
			if width%grain != 0 || float64(width) < least*full {
				t.Fatalf("%s keeps %d", b, width)
			}
		}
	})
}

// The curve goes through what was measured, where that is no noise.
func TestCurve(t *testing.T) {
	t.Parallel()
	f := FFN{Full: 900, Widths: []int{600, 300}, Losses: []float64{0.02, 0.16}}
	c := f.curve()
	for i, w := range f.Widths {
		if got := c.at(1 - float64(w)/900); math.Abs(got-f.Losses[i]) > 1e-12 {
			t.Errorf("%d channels: %v, measured %v", w, got, f.Losses[i])
		}
	}
	f.Losses = []float64{0.2, 0.1} // noise: fewer channels are no better
	if c = f.curve(); c.power != leastPower {
		t.Errorf("power %v", c.power)
	}
}

// What one width removes too much is given back, from the ends on, and no more.
func TestFill(t *testing.T) {
	t.Parallel()
	all := []blockmask.Block{ffn(0), ffn(1), ffn(2), ffn(3), ffn(4)}
	s := Shape{Widths: map[blockmask.Block]int{ffn(0): full, ffn(1): 512, ffn(2): 512, ffn(3): 512, ffn(4): full}}
	wholes := map[blockmask.Block]int{}
	for _, b := range all {
		wholes[b] = full
	}
	out, err := Fill(s, all, wholes, grain, atLeast(gone(s)-2*grain, 0))
	want := map[blockmask.Block]int{ffn(0): full, ffn(1): 512 + grain, ffn(2): 512, ffn(3): 512 + grain, ffn(4): full}
	if err != nil || !maps.Equal(out.Widths, want) || s.Widths[ffn(1)] != 512 {
		t.Errorf("%v, %v; of %v", out.Widths, err, s.Widths)
	}
	if out, err = Fill(s, all, wholes, grain, atLeast(gone(s), 0)); err != nil || !out.Equal(s) {
		t.Errorf("%v, %v", out.Widths, err)
	}
}

// No choice of as many channels has a longer list than the one that sizes are planned with.
func TestMaskIsLongest(t *testing.T) {
	t.Parallel()
	list := func(channels []int) string {
		kept, err := blockmask.NewIndices(channels)
		if err != nil {
			t.Fatal(err)
		}
		return kept.String()
	}
	// All sets of few channels, whose numbers have two digits from the third one on.
	const few, from = 11, 8
	var most, planned [few + 1]int
	for set := range 1 << few {
		var channels []int
		for c := range few {
			if set>>c&1 == 1 {
				channels = append(channels, from+c)
			}
		}
		most[len(channels)] = max(most[len(channels)], len(list(channels)))
	}
	for width := range planned {
		channels := scattered(width, few)
		for i := range channels {
			channels[i] += from
		}
		planned[width] = len(list(channels))
	}
	if planned != most {
		t.Errorf("lists of %v, of all the longest have %v", planned, most)
	}
	all := map[blockmask.Block]int{ffn(0): full}
	rapid.Check(t, func(t *rapid.T) {
		drop := rapid.SliceOfNDistinct(rapid.IntRange(0, full-1), 1, full-1, rapid.ID[int]).Draw(t, "drop")
		var channels []int
		for c := range full {
			if !slices.Contains(drop, c) {
				channels = append(channels, c)
			}
		}
		mask, err := Shape{Widths: map[blockmask.Block]int{ffn(0): len(channels)}}.Mask(all)
		if err != nil {
			t.Fatal(err)
		}
		cut, _ := mask.Cut(ffn(0))
		if cut.Channels.Len() != len(channels) {
			t.Fatalf("%d channels, want %d", cut.Channels.Len(), len(channels))
		}
		kept, err := blockmask.NewIndices(channels)
		if err != nil {
			t.Fatal(err)
		}
		if real, longest := kept.String(), cut.Channels.String(); len(real) > len(longest) {
			t.Errorf("%s is longer than %s", real, longest)
		}
	})
}
