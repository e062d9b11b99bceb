package repair

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/layout/arch"
)

// Channels is the number of channels of an FFN: the inputs of its one output projection. reason says why it cannot lose any.
func Channels(f *gguf.File, b layout.Block) (n int, reason string) {
	for _, name := range b.Weights {
		if !arch.IsOutput(name, b.Kind) || !strings.HasSuffix(name, ".weight") {
			continue
		}
		t, ok := f.Tensor(name)
		switch {
		case !ok:
			return 0, "its output projection is not in the file"
		case n > 0:
			return 0, "it has several output projections"
		case len(t.Dims) != 2:
			return 0, "it is a mixture of experts"
		}
		n = int(t.Dims[0])
	}
	if n == 0 {
		return 0, "it has no output projection"
	}
	return n, ""
}

// Grain is what the widths of FFNs must be multiples of: the blocks of their output projections' types.
func Grain(f *gguf.File, ffns []blockmask.Block) int {
	grain := 1
	for _, b := range ffns {
		if t, ok := f.Tensor(fmt.Sprintf("blk.%d.ffn_down.weight", b.Layer)); ok {
			grain = max(grain, int(t.Type.BlockSize()))
		}
	}
	return grain
}

// narrow reports whether FFNs lose channels.
func (q Request) narrow() bool { return len(q.Widths) > 0 || len(q.Removed.Parts()) > 0 }

// width is how many channels a block that loses some keeps; 0: it loses none.
func (q Request) width(b blockmask.Block) int {
	if c, ok := q.Removed.Cut(b); ok {
		return c.Channels.Len()
	}
	return q.Widths[b]
}

// kept are the channels that stay of the FFNs of which Removed says it.
func (q Request) kept() map[blockmask.Block]blockmask.Indices {
	out := map[blockmask.Block]blockmask.Indices{}
	for _, c := range q.Removed.Parts() {
		out[c.Block] = c.Channels
	}
	return out
}

// widths are Widths by the blocks' names.
func (q Request) widths() map[string]int {
	out := map[string]int{}
	for b, n := range q.Widths {
		out[b.String()] = n
	}
	return out
}

// check refuses parts of blocks that cannot be cut.
func (q Request) check() error {
	for _, c := range q.Removed.Parts() {
		if !c.Experts.Empty() {
			return fmt.Errorf("%s keeps some of the experts, which cannot be fitted yet; use a plan without experts", c)
		}
	}
	if len(q.Widths) > 0 && !q.Options.Wanted() {
		return errors.New("channels cannot be chosen without a fit; leave --repair off out")
	}
	return nil
}

// Mask is what a fit of channels leaves: the cuts of the FFNs that lost some.
func (d *Done) Mask() blockmask.Mask {
	var cuts []blockmask.Cut
	for b, n := range d.Result.Narrowed {
		cuts = append(cuts, blockmask.Cut{Block: b, Channels: n.Kept})
	}
	return blockmask.Of(cuts...)
}

// fileWeights are the new contents of tensors as the file has them: those of the loaded model, less the channels that go.
func fileWeights(changed, narrowed map[string][]byte) map[string][]byte {
	if len(narrowed) == 0 {
		return changed
	}
	out := maps.Clone(changed)
	maps.Copy(out, narrowed)
	return out
}
