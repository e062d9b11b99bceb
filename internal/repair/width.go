package repair

import (
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
	found, experts, shared := 0, false, false
	for _, name := range b.Weights {
		if !arch.IsOutput(name, b.Kind) || !strings.HasSuffix(name, ".weight") {
			continue
		}
		t, ok := f.Tensor(name)
		if !ok {
			return 0, "its output projection is not in the file"
		}
		found++
		n = int(t.Dims[0])
		experts = experts || len(t.Dims) != 2
		shared = shared || strings.Contains(name, "_shexp.")
	}
	switch {
	case shared:
		return 0, "it is a mixture of experts with a shared one, whose channels cannot be removed yet"
	case experts:
		return 0, "it is a mixture of experts"
	case found > 1:
		return 0, "it has several output projections"
	case found == 0:
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
