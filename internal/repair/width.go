package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/source"
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

// Grain is what the widths of FFNs must be multiples of: the blocks of their output projections' types, and of those that they are
// quantised to later, by their names.
func Grain(f *gguf.File, ffns []blockmask.Block, later map[string]gguf.Type) int {
	grain := 1
	for _, b := range ffns {
		if t, ok := f.Tensor(fmt.Sprintf("blk.%d.ffn_down.weight", b.Layer)); ok {
			grain = max(grain, int(t.Type.BlockSize()))
			if to, ok := later[t.Name]; ok {
				grain = max(grain, int(to.BlockSize()))
			}
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

// probeLength is how long the sequences of a probe are: short ones, so that a few thousand tokens show many kinds of text.
const probeLength = 128

// Probe measures what single blocks of the loaded model are worth on a part of the repair's text: FFNs with widths channels, and the
// model without each of gone. judged is about how many positions it measures on.
func Probe(ctx context.Context, src *source.Source, q Request, widths map[blockmask.Block][]int, gone []blockmask.Block, judged int, sink progress.Sink) (*fit.Probed, error) {
	q.Text.Context = min(probeLength, source.DefaultContext(q.Text.Context, src.Model.Info()))
	m, err := q.open(ctx, src, true)
	if err != nil {
		return nil, err
	}
	defer m.session.Close()
	request := fit.ProbeRequest{Widths: widths, Gone: gone, Fit: m.pieces.Fit, Judge: some(m.pieces.Held, judged)}
	bar := startBar(sink, "measure blocks", len(q.Blocks))
	defer bar.Stop()
	request.Progress = bar.block
	return fit.Probe(ctx, m.runner, NewProjections(src.Spec.Engine, src.File, q.Blocks), request)
}

// spread are about so many positions of batches, evenly from all of them: their indices.
func spread(all [][]engine.Sequence, positions int) (which []int) {
	each := 1
	for _, batch := range all {
		each = max(each, len(batch)*len(batch[0].Tokens))
	}
	n := min(len(all), max(1, positions/each))
	for i := range n {
		which = append(which, i*len(all)/n)
	}
	return which
}

func some(all [][]engine.Sequence, positions int) (out [][]engine.Sequence) {
	for _, i := range spread(all, positions) {
		out = append(out, all[i])
	}
	return out
}

// Positions of a trial.
const (
	trialFit  = 6144
	trialHeld = 4096

	TrialPositions = trialFit + trialHeld
)

// shorten leaves a trial's part of the text, each kind with its share.
func (m *text) shorten() {
	var held [][]engine.Sequence
	var of []int
	which := spread(m.pieces.Held, trialHeld)
	at := 0
	for i, batch := range m.pieces.Held {
		if slices.Contains(which, i) {
			held, of = append(held, batch), append(of, m.pieces.HeldOf[at:at+len(batch)]...)
		}
		at += len(batch)
	}
	m.pieces = &fit.Pieces{Fit: some(m.pieces.Fit, trialFit), Held: held, HeldOf: of}
}
