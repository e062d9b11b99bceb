package blockmask

import (
	"cmp"
	"strconv"
)

// Cut is what a mask does to one block. With neither channels nor experts the whole block is gone. Otherwise the block is an FFN
// of which a part stays. Cuts are comparable by ==.
type Cut struct {
	Block
	Channels Indices // of the FFN, or of its shared expert, that stay; the zero value keeps all of them
	Experts  Indices // of a mixture of experts that stay; the zero value keeps all of them
}

// Gone reports whether nothing of the block stays.
func (c Cut) Gone() bool { return c.Channels.Empty() && c.Experts.Empty() }

// String returns the block, and how much of it stays: "ffn:7", "ffn:7=1024" (channels), "ffn:7=96x" (experts) or "ffn:7=96x+1024".
func (c Cut) String() string { return c.Block.String() + c.kept() }

// kept is what String has behind the block.
func (c Cut) kept() string {
	s := ""
	if n := c.Experts.Len(); n > 0 {
		s = "=" + strconv.Itoa(n) + "x"
	}
	if n := c.Channels.Len(); n > 0 {
		if s == "" {
			s = "="
		} else {
			s += "+"
		}
		s += strconv.Itoa(n)
	}
	return s
}

// and returns the cut of a block that does what c and o do: what stays is what both keep. If that is nothing, the block is gone.
func (c Cut) and(o Cut) Cut {
	gone := Cut{Block: c.Block}
	if c.Gone() || o.Gone() {
		return gone
	}
	channels, some := intersect(c.Channels, o.Channels)
	experts, any := intersect(c.Experts, o.Experts)
	if !some || !any {
		return gone
	}
	return Cut{c.Block, channels, experts}
}

// intersect is the intersection of two sets, of which an empty one stands for everything. ok is false if nothing is left.
func intersect(a, b Indices) (both Indices, ok bool) {
	switch {
	case a.Empty():
		return b, true
	case b.Empty():
		return a, true
	}
	both = a.Intersect(b)
	return both, !both.Empty()
}

// compareCuts orders by block, a block that is gone before one of which a part stays.
func compareCuts(a, b Cut) int {
	return cmp.Or(Compare(a.Block, b.Block), a.Channels.compare(b.Channels), a.Experts.compare(b.Experts))
}
