package blockmask

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// MaxIndex is the highest channel or expert that a mask may name. The widest FFNs of real models have fewer than 100 000 channels.
const MaxIndex = 1<<20 - 1

// Indices is a set of numbers from 0 to [MaxIndex], such as the channels of an FFN that stay. The zero value is the empty set.
// Equal sets are equal by ==. Values never change.
type Indices struct {
	spans string // first and last of each run of neighbours, ascending: four bytes each, big-endian
}

const spanBytes = 8

// NewIndices returns the set of list, which may come in any order and repeat.
func NewIndices(list []int) (Indices, error) {
	sorted := slices.Sorted(slices.Values(list))
	var b spanBuilder
	for _, i := range sorted {
		if i < 0 || i > MaxIndex {
			return Indices{}, fmt.Errorf("index %d is outside 0 to %d", i, MaxIndex)
		}
		b.add(i, i)
	}
	return b.indices(), nil
}

// ParseIndices reads what [Indices.String] writes: numbers and ranges in ascending order, such as "0-511,600-1111". "" is the
// empty set.
func ParseIndices(s string) (Indices, error) {
	if s == "" {
		return Indices{}, nil
	}
	var b spanBuilder
	next := 0
	for item := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(item, "-")
		first, err := parseIndex(from)
		last := first
		if err == nil && isRange {
			last, err = parseIndex(to)
		}
		switch {
		case err != nil:
			return Indices{}, err
		case last < first:
			return Indices{}, fmt.Errorf("the range of indices %s runs backwards", quote(item))
		case first < next:
			return Indices{}, fmt.Errorf("index %d comes after %d; indices must ascend", first, next-1)
		}
		b.add(first, last)
		next = last + 1
	}
	return b.indices(), nil
}

func parseIndex(s string) (int, error) {
	// Only digits: Atoi alone would take "+3".
	n, err := strconv.Atoi(s)
	if err != nil || n > MaxIndex || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf(`%s is no index from 0 to %d; write sets like "0-511,600-1111"`, quote(s), MaxIndex)
	}
	return n, nil
}

// spanBuilder joins runs that come in ascending order.
type spanBuilder struct {
	out         []byte
	first, last int
	open        bool
}

// add appends first to last, which is no lower than what was added before.
func (b *spanBuilder) add(first, last int) {
	if b.open && first <= b.last+1 {
		b.last = max(b.last, last)
		return
	}
	b.flush()
	b.first, b.last, b.open = first, last, true
}

func (b *spanBuilder) flush() {
	if b.open {
		b.out = binary.BigEndian.AppendUint32(b.out, uint32(b.first))
		b.out = binary.BigEndian.AppendUint32(b.out, uint32(b.last))
	}
}

func (b *spanBuilder) indices() Indices {
	b.flush()
	return Indices{string(b.out)}
}

// at returns the first and last number of run i.
func (x Indices) at(i int) (first, last int) {
	s := x.spans[i*spanBytes : (i+1)*spanBytes]
	number := func(s string) int { return int(s[0])<<24 | int(s[1])<<16 | int(s[2])<<8 | int(s[3]) }
	return number(s[:4]), number(s[4:])
}

func (x Indices) runs() int { return len(x.spans) / spanBytes }

// Empty reports whether x has no elements.
func (x Indices) Empty() bool { return x.spans == "" }

// Len returns the number of elements.
func (x Indices) Len() int {
	n := 0
	for i := range x.runs() {
		first, last := x.at(i)
		n += last - first + 1
	}
	return n
}

// Max returns the highest element, -1 of the empty set.
func (x Indices) Max() int {
	if x.Empty() {
		return -1
	}
	_, last := x.at(x.runs() - 1)
	return last
}

// Contains reports whether i is in x.
func (x Indices) Contains(i int) bool {
	lo, hi := 0, x.runs()
	for lo < hi {
		mid := (lo + hi) / 2
		switch first, last := x.at(mid); {
		case i < first:
			hi = mid
		case i > last:
			lo = mid + 1
		default:
			return true
		}
	}
	return false
}

// All yields the elements in ascending order.
func (x Indices) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range x.runs() {
			first, last := x.at(i)
			for n := first; n <= last; n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// Intersect returns what x and o have in common.
func (x Indices) Intersect(o Indices) Indices {
	var b spanBuilder
	for i, j := 0, 0; i < x.runs() && j < o.runs(); {
		xFirst, xLast := x.at(i)
		oFirst, oLast := o.at(j)
		if first, last := max(xFirst, oFirst), min(xLast, oLast); first <= last {
			b.add(first, last)
		}
		if xLast < oLast {
			i++
		} else {
			j++
		}
	}
	return b.indices()
}

// compare orders sets, the empty one first.
func (x Indices) compare(o Indices) int { return cmp.Compare(x.spans, o.spans) }

// String returns the elements as ranges, such as "0-511,600-1111". [ParseIndices] of it gives x again.
func (x Indices) String() string {
	var b strings.Builder
	for i := range x.runs() {
		first, last := x.at(i)
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(first))
		if last > first {
			b.WriteString("-" + strconv.Itoa(last))
		}
	}
	return b.String()
}

// MarshalText returns the text of String, so that a set is a string in JSON.
func (x Indices) MarshalText() ([]byte, error) { return []byte(x.String()), nil }

// UnmarshalText reads a set as [ParseIndices] does.
func (x *Indices) UnmarshalText(text []byte) error {
	p, err := ParseIndices(string(text))
	if err != nil {
		return err
	}
	*x = p
	return nil
}
