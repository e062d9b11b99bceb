package arch

import (
	"github.com/ggufprune/ggufprune/blockmask"
)

// Half is a half of a layer.
type Half uint8

// The halves. Neither is said of a tensor or an attribute of the layer as a whole.
const (
	Mixer Half = iota
	FFN
	Neither
)

// HalfOf is the half that blocks of this kind are.
func HalfOf(k blockmask.Kind) Half {
	if k == blockmask.FFN {
		return FFN
	}
	return Mixer
}

// Kind is the kind of block that the half is. h is not Neither.
func (h Half) Kind() blockmask.Kind {
	if h == FFN {
		return blockmask.FFN
	}
	return blockmask.Mixer
}
