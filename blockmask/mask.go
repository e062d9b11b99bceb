package blockmask

import (
	"fmt"
	"slices"
	"strings"
)

// Mask says what is removed of a model: for each block that it touches a [Cut], sorted by block, one for each. Most masks remove
// whole blocks only. The zero value removes nothing. Methods never change their receiver and never share memory with it.
type Mask []Cut

// New returns the mask that removes blocks, which may come in any order and repeat.
func New(blocks ...Block) Mask {
	cuts := make([]Cut, len(blocks))
	for i, b := range blocks {
		cuts[i].Block = b
	}
	return join(cuts)
}

// Of returns the mask of cuts, which may come in any order. Of several cuts of one block stays what all of them keep.
func Of(cuts ...Cut) Mask { return join(slices.Clone(cuts)) }

// join is Of, in the memory of cuts.
func join(cuts []Cut) Mask {
	if len(cuts) == 0 {
		return nil
	}
	slices.SortFunc(cuts, func(a, b Cut) int { return Compare(a.Block, b.Block) })
	m := Mask(cuts[:0])
	for _, c := range cuts {
		if last := len(m) - 1; last >= 0 && m[last].Block == c.Block {
			m[last] = m[last].and(c)
			continue
		}
		m = append(m, c)
	}
	return slices.Clip(m)
}

// Len returns the number of blocks that are gone.
func (m Mask) Len() int {
	n := 0
	for _, c := range m {
		if c.Gone() {
			n++
		}
	}
	return n
}

// Cut returns what m does to b; ok is false if b stays as it is.
func (m Mask) Cut(b Block) (c Cut, ok bool) {
	if i, ok := m.find(b); ok {
		return m[i], true
	}
	return Cut{}, false
}

// find is a binary search that copies no cuts: searches ask Has all the time.
func (m Mask) find(b Block) (i int, ok bool) {
	lo, hi := 0, len(m)
	for lo < hi {
		mid := (lo + hi) / 2
		if Compare(m[mid].Block, b) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(m) && m[lo].Block == b
}

// Has reports whether b is gone.
func (m Mask) Has(b Block) bool {
	i, ok := m.find(b)
	return ok && m[i].Gone()
}

// HasAll reports whether m removes everything that o does.
func (m Mask) HasAll(o Mask) bool {
	return !slices.ContainsFunc(o, func(c Cut) bool {
		mine, ok := m.Cut(c.Block)
		return !ok || mine.and(c) != mine
	})
}

// Blocks returns the blocks that are gone, in order.
func (m Mask) Blocks() []Block {
	var blocks []Block
	for _, c := range m {
		if c.Gone() {
			blocks = append(blocks, c.Block)
		}
	}
	return blocks
}

// Parts returns the cuts of the blocks of which a part stays, in order.
func (m Mask) Parts() []Cut {
	var parts []Cut
	for _, c := range m {
		if !c.Gone() {
			parts = append(parts, c)
		}
	}
	return parts
}

// WholeBlocks returns an error unless every block that m touches is gone. It is for those who cannot keep a part of a block.
func (m Mask) WholeBlocks() error {
	if i := slices.IndexFunc(m, func(c Cut) bool { return !c.Gone() }); i >= 0 {
		return fmt.Errorf("only whole blocks can be left out here, and %s keeps a part; use a mask without parts", m[i])
	}
	return nil
}

// With returns m with the blocks b gone.
func (m Mask) With(b ...Block) Mask { return m.Union(New(b...)) }

// Without returns m with the blocks b whole again.
func (m Mask) Without(b ...Block) Mask {
	back := New(b...)
	return slices.DeleteFunc(slices.Clone(m), func(c Cut) bool { return back.Has(c.Block) })
}

// Union returns the mask that does what m and what o does: of a block stays what both keep.
func (m Mask) Union(o Mask) Mask {
	if len(m)+len(o) == 0 {
		return nil
	}
	out := make(Mask, 0, len(m)+len(o))
	for len(m) > 0 && len(o) > 0 {
		switch c := Compare(m[0].Block, o[0].Block); {
		case c < 0:
			out, m = append(out, m[0]), m[1:]
		case c > 0:
			out, o = append(out, o[0]), o[1:]
		default:
			out, m, o = append(out, m[0].and(o[0])), m[1:], o[1:]
		}
	}
	return slices.Clip(append(append(out, m...), o...))
}

// Equal reports whether m and o do the same.
func (m Mask) Equal(o Mask) bool { return slices.Equal(m, o) }

// CompareMasks orders masks by their first block that differs, a prefix before what it is a prefix of. Masks of one block
// are ordered as [Compare] orders the blocks: ties in a search break on the lower layer, mixer before FFN. A block that is gone comes
// before one of which a part stays.
func CompareMasks(a, b Mask) int { return slices.CompareFunc(a, b, compareCuts) }

// Check returns an error that names the first block of m which is not among blocks, and says what there is. It also finds mixers
// of which a part is kept. Whether a block has the channels and experts that are kept is for those to check who know its tensors.
func (m Mask) Check(blocks []Block) error {
	all := New(blocks...)
	for _, c := range m {
		if !all.Has(c.Block) {
			return fmt.Errorf("no block %s in this model; it has %s", c.Block, all.orNone())
		}
		if !c.Gone() && c.Kind != FFN {
			return errNoFFN(c)
		}
	}
	return nil
}

func errNoFFN(c Cut) error {
	return fmt.Errorf("%s keeps a part of a mixer; only FFNs have channels and experts", c)
}

func (m Mask) orNone() string {
	if len(m) == 0 {
		return "no blocks that can be removed"
	}
	return m.String()
}

// Key returns a text that is the same for equal masks only: that of String for a mask of whole blocks, otherwise its JSON.
func (m Mask) Key() string {
	if m.WholeBlocks() == nil {
		return m.String()
	}
	data, err := m.MarshalJSON()
	if err != nil {
		panic(err) // strings and numbers always have a form
	}
	return string(data)
}

// String returns the canonical text: mixers and FFNs in the order of their first layer, consecutive layers of one kind
// joined into a range if as much stays of each. [Parse] of it gives a mask of whole blocks again. Of parts it has only how many
// channels or experts stay.
func (m Mask) String() string {
	var runs []run
	open := map[Kind]int{} // each kind's last run
	for _, c := range m {
		kept := c.kept()
		if i, ok := open[c.Kind]; ok && runs[i].last+1 == c.Layer && runs[i].kept == kept {
			runs[i].last = c.Layer
			continue
		}
		open[c.Kind] = len(runs)
		runs = append(runs, run{c.Kind, c.Layer, c.Layer, kept})
	}
	items := make([]string, len(runs))
	for i, r := range runs {
		items[i] = r.String()
	}
	return strings.Join(items, ",")
}

// run is consecutive layers of one kind, first to last.
type run struct {
	kind        Kind
	first, last int
	kept        string // of each layer, as Cut's text has it
}

func (r run) String() string {
	s := Block{Layer: r.first, Kind: r.kind}.String()
	if r.last > r.first {
		s += fmt.Sprintf("-%d", r.last)
	}
	return s + r.kept
}
