package blockmask

import (
	"fmt"
	"slices"
	"strings"
)

// Unit is what one step of a search removes.
type Unit string

// The units, by the names that the paper and the command line use.
const (
	Mix   Unit = "mix"   // any one block
	Attn  Unit = "attn"  // one mixer
	Ffn   Unit = "ffn"   // one FFN
	Whole Unit = "layer" // all blocks of one layer
	Pairs Unit = "pair"  // a mixer and an FFN that follow each other in what is left, in either order
)

// These are no units of a search: they say what goes in one step.
const (
	Width Unit = "width" // channels of FFNs
	Auto  Unit = "auto"  // channels of FFNs and whole blocks, whatever costs least
)

// Units returns all units in the order of their documentation.
func Units() []Unit { return []Unit{Mix, Attn, Ffn, Whole, Pairs} }

// ParseUnit reads a unit's name; upper and lower case are the same, and the aliases of [Parse] are understood.
func ParseUnit(s string) (Unit, error) {
	u := Unit(strings.ToLower(strings.TrimSpace(s)))
	if u == Width || u == Auto || slices.Contains(Units(), u) {
		return u, nil
	}
	if kind, ok := aliases[string(u)]; ok {
		return Unit(kind.String()), nil
	}
	return "", fmt.Errorf("unknown kind %s; use one of auto, width, mix, attn, ffn, layer, pair", quote(s))
}

// Candidates returns what a search may remove next, in the order in which ties break: one mask for each removable unit of
// blocks (all blocks of the model, in order) that is not removed yet. A layer of which a part is removed is a candidate
// with what is left of it. Every mask is disjoint from removed.
//
// Candidates of [Pairs] overlap. What they leave of a model of full layers pairs into full layers again ([Pair]), at every
// step, so that it can be written for any architecture.
func Candidates(unit Unit, blocks []Block, removed Mask) []Mask {
	if unit == Pairs {
		return pairs(blocks, removed)
	}
	var out []Mask
	for _, b := range blocks {
		if removed.Has(b) || !unit.takes(b.Kind) {
			continue
		}
		last := len(out) - 1
		if unit == Whole && last >= 0 && out[last][0].Layer == b.Layer {
			out[last] = out[last].With(b)
			continue
		}
		out = append(out, New(b))
	}
	slices.SortFunc(out, CompareMasks)
	return out
}

func pairs(blocks []Block, removed Mask) []Mask {
	var out []Mask
	var last *Block
	for i, b := range blocks {
		if removed.Has(b) {
			continue
		}
		if last != nil && last.Kind != b.Kind {
			out = append(out, New(*last, b))
		}
		last = &blocks[i]
	}
	slices.SortFunc(out, CompareMasks)
	return out
}

func (u Unit) takes(k Kind) bool {
	switch u {
	case Attn:
		return k == Mixer
	case Ffn:
		return k == FFN
	default:
		return true
	}
}
