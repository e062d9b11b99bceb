package widthbench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/bench/machine"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
)

// batchSeqs is how many sequences run at once.
const batchSeqs = 2

// rig is a loaded model that a fit may change.
type rig struct {
	file    *gguf.File
	model   *llamabind.Model
	session *llamabind.Session
	blocks  []layout.Block
}

// open loads the model for sequences of so many tokens.
func (o options) open(ctx context.Context, tokens int) (*rig, error) {
	r := &rig{}
	var err error
	if r.file, err = gguf.Open(o.model); err != nil {
		return nil, err
	}
	if r.model, err = llamabind.LoadModel(ctx, o.model, engine.ModelParams{NoMmap: true}); err == nil {
		r.session, err = r.model.NewSession(ctx, engine.SessionParams{NSeq: batchSeqs, SeqLen: tokens, Threads: o.threads})
	}
	if err != nil {
		r.close()
		return nil, err
	}
	for _, b := range r.session.Blocks() {
		r.blocks = append(r.blocks, layout.Block{Block: b, Weights: r.session.Weights(b)})
	}
	return r, nil
}

func (r *rig) close() {
	if r.session != nil {
		r.session.Close()
	}
	if r.model != nil {
		r.model.Close()
	}
	r.file.Close()
}

// channels are how many each FFN has.
func (r *rig) channels() (map[blockmask.Block]int, error) {
	out := map[blockmask.Block]int{}
	for _, b := range r.blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		t, ok := r.file.Tensor(fmt.Sprintf("blk.%d.ffn_down.weight", b.Layer))
		if !ok {
			return nil, errors.New("an FFN has no ffn_down")
		}
		out[b.Block] = int(t.Dims[0])
	}
	return out, nil
}

// fit takes channels out of the loaded model; cpu is in seconds.
func (r *rig) fit(ctx context.Context, widths map[blockmask.Block]int, fitted, held [][]engine.Sequence) (res *fit.Result, cpu float64, err error) {
	return r.fitTimed(ctx, widths, fitted, held, nil)
}

// fitTimed adds to spent the time in which nothing runs through the model.
func (r *rig) fitTimed(
	ctx context.Context, widths map[blockmask.Block]int, fitted, held [][]engine.Sequence, spent *time.Duration,
) (res *fit.Result, cpu float64, err error) {
	start := machine.CPUSeconds()
	weights := repair.NewProjections(llamabind.Runtime{}, r.file, r.blocks)
	res, err = fit.Run(ctx, r.session, weights, fit.Request{
		Widths: widths, Method: fit.Full, Fit: fitted, Held: held, Spent: spent,
		Progress: func(done, total int, b blockmask.Block) {
			fmt.Printf("  %d of %d: %s, %.0f CPU s\n", done, total, b, machine.CPUSeconds()-start)
		},
	})
	return res, machine.CPUSeconds() - start, err
}

// perplexities are those of the loaded model on some sets.
func (r *rig) perplexities(ctx context.Context, sets []*perplexity.Set) ([]float64, error) {
	var out []float64
	for _, set := range sets {
		e, err := perplexity.NewEvaluator(r.session, set)
		if err != nil {
			return nil, err
		}
		est, err := e.Estimate(ctx, nil, nil)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(est.PPL) {
			return nil, errors.New("a perplexity is not a number")
		}
		out = append(out, est.PPL)
	}
	return out, nil
}
