package blockmask

import (
	"fmt"
	"slices"
	"strings"
)

// Mask is a set of removed blocks: sorted by [Compare], without duplicates. The zero value is the empty mask. Methods
// never change their receiver and never share memory with it.
type Mask []Block

// New returns the mask of blocks, which may come in any order and repeat.
func New(blocks ...Block) Mask {
	m := slices.Clone(blocks)
	slices.SortFunc(m, Compare)
	return slices.Clip(Mask(slices.Compact(m)))
}

// Len returns the number of blocks in m.
func (m Mask) Len() int { return len(m) }

// Has reports whether b is in m.
func (m Mask) Has(b Block) bool {
	_, ok := slices.BinarySearchFunc(m, b, Compare)
	return ok
}

// HasAll reports whether every block of o is in m.
func (m Mask) HasAll(o Mask) bool {
	return !slices.ContainsFunc(o, func(b Block) bool { return !m.Has(b) })
}

// With returns m and the blocks b.
func (m Mask) With(b ...Block) Mask { return New(slices.Concat(m, b)...) }

// Without returns m less the blocks b.
func (m Mask) Without(b ...Block) Mask {
	drop := New(b...)
	return slices.DeleteFunc(New(m...), drop.Has)
}

// Union returns the blocks that are in m, in o, or in both.
func (m Mask) Union(o Mask) Mask { return m.With(o...) }

// Equal reports whether m and o hold the same blocks.
func (m Mask) Equal(o Mask) bool { return slices.Equal(m, o) }

// CompareMasks orders masks by their first block that differs, a prefix before what it is a prefix of. Masks of one block
// are ordered as [Compare] orders the blocks: ties in a search break on the lower layer, mixer before FFN.
func CompareMasks(a, b Mask) int { return slices.CompareFunc(a, b, Compare) }

// Check returns an error that names the first block of m which is not among blocks, and says what there is.
func (m Mask) Check(blocks []Block) error {
	all := New(blocks...)
	for _, b := range m {
		if !all.Has(b) {
			return fmt.Errorf("no block %s in this model; it has %s", b, all.orNone())
		}
	}
	return nil
}

func (m Mask) orNone() string {
	if len(m) == 0 {
		return "no blocks that can be removed"
	}
	return m.String()
}

// String returns the canonical text: mixers and FFNs in the order of their first layer, consecutive layers of one kind
// joined into a range. [Parse] of it gives m again.
func (m Mask) String() string {
	var runs []run
	open := map[Kind]int{} // each kind's last run
	for _, b := range m {
		if i, ok := open[b.Kind]; ok && runs[i].last+1 == b.Layer {
			runs[i].last = b.Layer
			continue
		}
		open[b.Kind] = len(runs)
		runs = append(runs, run{kind: b.Kind, first: b.Layer, last: b.Layer})
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
}

func (r run) String() string {
	s := Block{Layer: r.first, Kind: r.kind}.String()
	if r.last > r.first {
		s += fmt.Sprintf("-%d", r.last)
	}
	return s
}

// MarshalText returns the canonical text, so that a mask is a string in JSON.
func (m Mask) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText parses a mask as [Parse] does.
func (m *Mask) UnmarshalText(text []byte) error {
	p, err := Parse(string(text))
	if err != nil {
		return err
	}
	*m = p
	return nil
}
