package widthbench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/format"
	"github.com/ggufprune/ggufprune/internal/randmodel"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/perplexity"
)

// llama8B is the shape of a model of 8 billion parameters, of which one layer is measured: the vocabulary is small, since the head has no part
// in a fit.
var llama8B = randmodel.Shape{
	Name: "a layer of Llama-3.1-8B's shape", Arch: "llama", Layers: 1, Embd: 4096, Heads: 32, KVHeads: 8, FFN: 14336, Vocab: 4096, RopeBase: 5e5,
}

// Of the whole model, and of a machine that users have.
const (
	layers8B = 32
	cores8B  = 8
)

// layerTokens are fitted on in the part layer; what one more position takes is known from half as many.
const layerTokens = 8192

// layer fits the FFN of one layer of an 8B model on two amounts of text, and projects that of all layers; attentions, with less than a third of
// the inputs, take a small part of that. What an FFN takes is a constant, its factors and
// solves, and so much for each position.
func layer(ctx context.Context, o options) error {
	dir, err := o.run.temporary()
	if err != nil {
		return err
	}
	o.model = filepath.Join(dir, "layer.gguf")
	if err := randmodel.Write(ctx, o.model, llama8B, 1); err != nil {
		return err
	}
	tokens := layerTokens
	if o.given["tokens"] {
		tokens = o.tokens
	}
	var cpu, at []float64
	grew := 0.0
	for _, n := range []int{tokens / 2, tokens} {
		seconds, positions, mib, err := o.fitLayer(ctx, n)
		if err != nil {
			return err
		}
		fmt.Printf("%s: its FFN fitted on %d positions in %.0f CPU s, %.0f MiB beside the loaded model\n", llama8B.Name, positions, seconds, mib)
		cpu, at, grew = append(cpu, seconds), append(at, float64(positions)), max(grew, mib)
	}
	each := (cpu[1] - cpu[0]) / (at[1] - at[0])
	whole := layers8B * (cpu[1] + each*(repair.DefaultTokens-at[1]))
	streams := 3 * 4 * float64(repair.DefaultTokens) * float64(llama8B.Embd) / (1 << 20)
	fmt.Printf("%d FFNs, %d positions: %.0f CPU s for each and %.4f a position; %.1f hours on %d cores\n",
		layers8B, repair.DefaultTokens, cpu[1]-each*at[1], each, whole/3600/cores8B, cores8B)
	need := fit.CutBytes(llama8B.FFN, llama8B.Embd)
	fmt.Printf("the fit plans with %s for an FFN, and %.0f MiB for the streams\n", format.MiB(need), streams)
	fmt.Printf("\nfigure width_8b_hours_8_cores %.2f\nfigure width_8b_extra_mib %.0f\n", whole/3600/cores8B, grew)
	return nil
}

// fitLayer takes a third of the channels of the model's FFN.
func (o options) fitLayer(ctx context.Context, tokens int) (cpu float64, positions int, mib float64, err error) {
	r, err := o.open(ctx, o.window)
	if err != nil {
		return 0, 0, 0, err
	}
	defer r.close()
	text := &perplexity.Corpus{Name: "random words", Documents: []string{randmodel.Text(2*tokens, o.seed)}, Continuous: true}
	fitted, held, err := fit.Batches(r.model, []*perplexity.Corpus{text}, o.window, tokens, batchSeqs, o.seed)
	if err != nil {
		return 0, 0, 0, err
	}
	before := machine.PeakRSS()
	widths := map[blockmask.Block]int{{Kind: blockmask.FFN}: llama8B.FFN * 2 / 3 / 256 * 256}
	res, cpu, err := r.fit(ctx, widths, fitted, held)
	if err != nil {
		return 0, 0, 0, err
	}
	return cpu, res.Positions, machine.PeakRSS() - before, nil
}
