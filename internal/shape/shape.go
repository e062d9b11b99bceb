package shape

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
)

// Shape is what a model keeps.
type Shape struct {
	Name    string // for people: "one width"
	Widths  map[blockmask.Block]int
	Removed blockmask.Mask // whole blocks
}

// Mask is a mask of the shape's size. Which channels a fit will choose is not known, and their list is a part of the file: narrowed FFNs
// keep those whose list is the longest, so that no file is larger than a size that is planned with the mask.
func (s Shape) Mask(full map[blockmask.Block]int) (blockmask.Mask, error) {
	cuts := slices.Clone(s.Removed)
	for b, width := range s.Widths {
		if width >= full[b] || s.Removed.Has(b) {
			continue
		}
		kept, err := blockmask.NewIndices(scattered(width, full[b]))
		if err != nil {
			return nil, fmt.Errorf("%s with %d channels: %w", b, width, err)
		}
		cuts = append(cuts, blockmask.Cut{Block: b, Channels: kept})
	}
	return blockmask.Of(cuts...), nil
}

// scattered are so many of full channels that take the most text: of a run only the ends are written, so these are pairs, with single
// gaps, of the highest numbers; when there are no more gaps, the lowest run has the rest.
func scattered(width, full int) []int {
	list := make([]int, 0, width)
	gaps := full - width
	for c := full - 1; len(list) < width; c-- {
		if (full-1-c)%3 == 2 && gaps > 0 {
			gaps--
			continue
		}
		list = append(list, c)
	}
	return list
}

// Narrowed are the FFNs of the shape that lose channels.
func (s Shape) Narrowed(full map[blockmask.Block]int) map[blockmask.Block]int {
	out := map[blockmask.Block]int{}
	for b, width := range s.Widths {
		if width < full[b] && !s.Removed.Has(b) {
			out[b] = width
		}
	}
	return out
}

// Equal reports whether two shapes keep the same.
func (s Shape) Equal(o Shape) bool {
	return maps.Equal(s.Widths, o.Widths) && s.Removed.Equal(o.Removed)
}

// Range are the least and the largest width of the FFNs that stay.
func (s Shape) Range() (lo, hi int) {
	lo = math.MaxInt
	for b, width := range s.Widths {
		if !s.Removed.Has(b) {
			lo, hi = min(lo, width), max(hi, width)
		}
	}
	return lo, hi
}

// Describe is the shape in a few words.
func (s Shape) Describe(full int) string {
	lo, hi := s.Range()
	text := fmt.Sprintf("%d of %d channels", lo, full)
	if lo != hi {
		text = fmt.Sprintf("%d to %d of %d channels", lo, hi, full)
	}
	if n := len(s.Removed); n > 0 {
		text += fmt.Sprintf(", without %s", s.Removed)
	}
	return text
}

// Fits says whether a shape reaches what is asked for. An error is why it cannot be stored.
type Fits func(Shape) (bool, error)

// Uniform gives the FFNs one width, the largest multiple of grain that fits; those of spared keep theirs.
func Uniform(name string, full map[blockmask.Block]int, spared []blockmask.Block, grain int, fits Fits) (Shape, error) {
	widest := 0
	for _, n := range full {
		widest = max(widest, n)
	}
	var why error
	for width := (widest - 1) / grain * grain; width > 0; width -= grain {
		s := Shape{Name: name, Widths: maps.Clone(full)}
		for b, n := range full {
			if !slices.Contains(spared, b) {
				s.Widths[b] = min(n, width)
			}
		}
		ok, err := fits(s)
		if ok {
			return s, nil
		}
		why = err
	}
	if why != nil {
		return Shape{}, why
	}
	return Shape{}, fmt.Errorf("without all channels of its FFNs the model is still larger than that; give a smaller goal")
}

// Fill gives FFNs a grain of channels back, those nearest to the ends first, as long as the shape fits: one width for all removes more
// than is asked for.
func Fill(s Shape, ffns []blockmask.Block, full map[blockmask.Block]int, grain int, fits Fits) (Shape, error) {
	out := s
	out.Widths = maps.Clone(s.Widths)
	for i := range ffns {
		b := ffns[i/2]
		if i%2 == 1 {
			b = ffns[len(ffns)-1-i/2]
		}
		was := out.Widths[b]
		if was+grain > full[b] {
			continue
		}
		out.Widths[b] = was + grain
		ok, err := fits(out)
		if err != nil {
			return s, err
		}
		if !ok {
			out.Widths[b] = was
			break
		}
	}
	return out, nil
}
