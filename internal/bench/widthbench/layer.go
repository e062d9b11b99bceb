package widthbench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

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

// layerTokens are fitted on in the part layer.
const layerTokens = 2048

// layer fits the FFN of one layer of an 8B model on a little text, and projects that of all layers on all of it; attentions, with less than a
// third of the inputs, take a small part of that. What an FFN takes is a constant, its factors and solves, and so much for each position.
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
	l, err := o.fitLayer(ctx, tokens)
	if err != nil {
		return err
	}
	fmt.Printf("%s: its FFN fitted on %d positions in %.0f CPU s, of which factors and solves %.0f; %.0f MiB beside the loaded model\n",
		llama8B.Name, l.positions, l.cpu, l.solved, l.mib)
	each := (l.cpu - l.solved) / float64(l.positions)
	whole := layers8B * (l.solved + each*repair.DefaultTokens)
	streams := 3 * 4 * float64(repair.DefaultTokens) * float64(llama8B.Embd) / (1 << 20)
	fmt.Printf("%d FFNs, %d positions: %.0f CPU s for each and %.4f a position; %.1f hours on %d cores\n",
		layers8B, repair.DefaultTokens, l.solved, each, whole/3600/cores8B, cores8B)
	need := fit.CutBytes(llama8B.FFN, llama8B.Embd)
	fmt.Printf("the fit plans with %s for an FFN, and %.0f MiB for the streams\n", format.MiB(need), streams)
	fmt.Printf("\nfigure width_8b_hours_8_cores %.2f\nfigure width_8b_extra_mib %.0f\n", whole/3600/cores8B, l.mib)
	return nil
}

// layerFit is what a fit took.
type layerFit struct {
	positions   int
	cpu, solved float64 // CPU seconds in all, and those in which nothing ran through the model
	mib         float64 // beside the loaded model
}

// fitLayer takes a third of the channels of the model's FFN.
func (o options) fitLayer(ctx context.Context, tokens int) (l layerFit, err error) {
	r, err := o.open(ctx, o.window)
	if err != nil {
		return l, err
	}
	defer r.close()
	text := &perplexity.Corpus{Name: "random words", Documents: []string{randmodel.Text(2*tokens, o.seed)}, Continuous: true}
	fitted, held, err := fit.Batches(r.model, []*perplexity.Corpus{text}, o.window, tokens, batchSeqs, o.seed)
	if err != nil {
		return l, err
	}
	before, began := machine.PeakRSS(), time.Now()
	widths := map[blockmask.Block]int{{Kind: blockmask.FFN}: llama8B.FFN * 2 / 3 / 256 * 256}
	var spent time.Duration
	res, cpu, err := r.fitTimed(ctx, widths, fitted, held, &spent)
	if err != nil {
		return l, err
	}
	// Both parts keep all threads busy.
	part := spent.Seconds() / time.Since(began).Seconds()
	return layerFit{res.Positions, cpu, part * cpu, machine.PeakRSS() - before}, nil
}
