package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
)

// repairsFloor is the number of architectures that were repaired right when this was committed; fewer is a failure.
const repairsFloor = 138

// repairLen is the length of the sequences that are fitted on.
const repairLen = 32

// willing is an engine on which every repair seems to help: each evaluation's loss is below the one before. Nothing was trained in the
// fixtures, so their losses say nothing.
type willing struct {
	*llamabind.Session
	loss *float64
}

func (w willing) EvalFrom(_ context.Context, batch []engine.Sequence, _ blockmask.Mask, _ int, _ []float32) ([][]float64, error) {
	*w.loss--
	var out [][]float64
	for _, q := range batch {
		out = append(out, slices.Repeat([]float64{*w.loss}, len(q.Tokens)))
	}
	return out, nil
}

// fitText is what is fitted on and what choices are made on: random weights have nothing in common from one text to the next.
func (r *modelRun) fitText() [][]engine.Sequence {
	batch := make([]engine.Sequence, len(r.batch))
	for i, q := range r.batch {
		batch[i] = engine.Sequence{Tokens: q.Tokens[:repairLen], Targets: q.Targets[:repairLen]}
	}
	return [][]engine.Sequence{batch}
}

// restore puts the weights that a fit changed back as the file has them.
func (r *modelRun) restore(weights fit.Weights, changed map[string][]byte) (err error) {
	for _, b := range r.session.Blocks() {
		all, _, _ := weights.Projections(b)
		for _, p := range all {
			if changed[p.Name] != nil {
				err = errors.Join(err, r.session.SetWeight(p.Name, p.Data))
			}
		}
	}
	return err
}

// tryRepaired repairs the model without mask, writes it and compares; the loaded model is put back. It notes in forms what became of each
// output projection, and is false where no block was changed.
func (r *modelRun) tryRepaired(ctx context.Context, mask blockmask.Mask, path string, forms map[string]string) (right bool, err error) {
	text := r.fitText()
	pruned, err := collectLogits(ctx, r.session, r.batch, mask)
	if err != nil {
		return false, err
	}
	weights := repair.NewProjections(llamabind.Runtime{}, r.file, r.blocks)
	res, err := fit.Run(ctx, willing{r.session, new(float64)}, weights, fit.Request{Removed: mask, Method: fit.Auto, Fit: text, Held: text})
	if errors.Is(err, fit.ErrNothing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.restore(weights, res.Weights)) }()
	for _, b := range res.Blocks {
		note(forms, b)
		if (b.Skipped == "") != (res.Weights[b.Tensor] != nil) {
			return false, fmt.Errorf("%s: the result says %q", b.Tensor, b.Skipped)
		}
	}
	if len(res.Weights) == 0 {
		return false, nil
	}
	want, err := collectLogits(ctx, r.session, r.batch, mask)
	if err != nil {
		return false, err
	}
	if maxAbsDiff(want, pruned) == 0 {
		return false, errors.New("the repair changed nothing that the model computes")
	}
	plan, err := layout.Build(layout.Request{Source: r.file, Blocks: r.blocks, Removed: mask, Changed: res.Weights})
	if err != nil {
		return false, err
	}
	d, err := r.written(ctx, plan, path, want)
	if err != nil {
		return false, err
	}
	if !d.within(plan.Exact) {
		return false, fmt.Errorf("layout %s: max abs diff %g, NMSE %g", plan.Kind, d.maxAbs, d.nmse)
	}
	return true, err
}

// note writes down what became of a projection. A fit in one case outweighs a reason in another.
func note(forms map[string]string, b fit.Block) {
	_, tensor, _ := strings.Cut(strings.TrimPrefix(b.Tensor, "blk."), ".")
	tensor = strings.TrimSuffix(tensor, ".weight")
	if tensor == "" {
		tensor = b.Block.Kind.String()
	}
	switch old := forms[tensor]; {
	case b.Skipped == "":
		forms[tensor] = string(b.Method)
	case old == "" || strings.HasPrefix(old, "left alone"):
		forms[tensor] = "left alone: " + b.Skipped
	}
}

// repaired counts the architectures by what a repair did.
type repaired struct{ ok, alone, wrong int }

// repairs runs all cases of one model once more, repaired.
func (sw *layoutSweep) repairs(ctx context.Context, name string, run *modelRun, cases []layoutCase) {
	forms := map[string]string{}
	changed, failed := 0, 0
	for _, c := range cases {
		ok, err := run.tryRepaired(ctx, c.mask, filepath.Join(sw.tmp, "repaired.gguf"), forms)
		var refused *layout.RefusedError
		switch {
		case errors.As(err, &refused):
		case err != nil:
			failed++
			fmt.Fprintf(sw.out, "%-28s %-9s %-7s repaired, %s: %v\n", name, c.name, "WRONG", c.mask, err)
		case ok:
			changed++
		}
	}
	var all []string
	for tensor, form := range forms {
		all = append(all, tensor+" "+form)
	}
	slices.Sort(all)
	what := "right"
	switch {
	case failed > 0:
		sw.repaired.wrong++
		what = "WRONG"
	case changed > 0:
		sw.repaired.ok++
	default:
		sw.repaired.alone++
		what = "alone"
	}
	fmt.Fprintf(sw.out, "%-28s repaired  %-7s %d files  %s\n", name, what, changed, strings.Join(all, "; "))
}
