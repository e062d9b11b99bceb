package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
)

// layoutsFloor is the number of files that were right when this was committed; fewer is a failure.
const layoutsFloor = 717

// The batch of this sweep: longer than the fixtures' sliding windows of 32 tokens.
const (
	layoutSeqs = 2
	layoutLen  = 56
)

// layoutNMSE is the tolerance where a layout is not exact: a permutation adds up in another order.
const layoutNMSE = 1e-3

// deciArchs must be stored exactly, as deci, wherever a partial layer remains.
var deciArchs = []string{
	"llama-dense", "qwen2-dense" + withoutBias, "internlm2-dense", "xverse-dense", "exaone-dense", "seed_oss-dense", "phi3-dense",
}

// withoutBias marks the variant of a model without output.bias. llama.cpp's fixture of qwen2 has one, no Qwen2 has, and
// deci has no place for it.
const withoutBias = "/no-output-bias"

// layoutCase is a mask to be tried on a model.
type layoutCase struct {
	name    string
	mask    blockmask.Mask
	partial bool // a partial layer remains
}

// layoutSweep counts what became of the cases.
type layoutSweep struct {
	out                io.Writer
	tmp                string
	ok, refused, wrong int
	repaired           repaired
}

// layouts writes, for every model in dir and several masks, the file that layout.Build plans, loads it as a user's would be
// and compares its logits with those of the masked original.
func layouts(ctx context.Context, dir, filter string) error {
	tmp, err := os.MkdirTemp("", "ggufprune-layouts-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	models, err := fixtures(ctx, dir, filter, tmp)
	if err != nil {
		return err
	}
	sw := &layoutSweep{out: os.Stdout, tmp: tmp}
	fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12s %10s  %s\n", "architecture", "case", "layout", "max abs diff", "NMSE", "removed, or why not")
	for _, m := range models {
		sw.model(ctx, m.name, m.path)
		if m.name == "qwen2-dense" {
			if err := sw.variant(ctx, m.name, m.path); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintf(sw.out, "figure layouts_ok %d\nfigure layouts_refused %d\nfigure layouts_wrong %d\n", sw.ok, sw.refused, sw.wrong)
	fmt.Fprintf(sw.out, "figure repair_archs_ok %d\nfigure repair_archs_left_alone %d\nfigure repair_archs_wrong %d\n", sw.repaired.ok, sw.repaired.alone, sw.repaired.wrong)
	switch {
	case sw.repaired.wrong > 0:
		return fmt.Errorf("%d repaired models compute other numbers than their files", sw.repaired.wrong)
	case filter == "" && dir == defaultDir && sw.repaired.ok < repairsFloor:
		return fmt.Errorf("only %d architectures were repaired right, %d were before", sw.repaired.ok, repairsFloor)
	case sw.wrong > 0:
		return fmt.Errorf("%d files compute other numbers than the masked original", sw.wrong)
	case filter == "" && dir == defaultDir && sw.ok < layoutsFloor:
		return fmt.Errorf("only %d files are right, %d were before", sw.ok, layoutsFloor)
	}
	return nil
}

// variant sweeps a copy of the model without output.bias.
func (sw *layoutSweep) variant(ctx context.Context, name, path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	plan := &gguf.Plan{KVs: f.KVs()}
	for _, t := range f.Tensors() {
		if t.Name != "output.bias" {
			plan.Tensors = append(plan.Tensors, gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(f, t)})
		}
	}
	p, err := gguf.WriteTemp(ctx, filepath.Join(sw.tmp, "variant.gguf"), plan, gguf.WriteOptions{})
	if err != nil {
		return err
	}
	sw.model(ctx, name+withoutBias, p.Path())
	return p.Discard()
}

// model runs all cases of one model.
func (sw *layoutSweep) model(ctx context.Context, name, path string) {
	run, err := openModel(ctx, path)
	if err != nil {
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != engine.UnsupportedArch && e.Code != engine.LoadFailed {
			sw.report(name, layoutCase{name: "-"}, nil, diff{}, err)
			return
		}
		sw.refused++
		fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12s %10s  %s\n", name, "-", "refused", "", "", e.Text)
		return
	}
	defer run.close()
	for _, c := range layoutCases(run.session.Blocks()) {
		res, d, err := run.try(ctx, c.mask, filepath.Join(sw.tmp, "out.gguf"))
		if err == nil && c.partial && slices.Contains(deciArchs, name) && res.Kind != layout.Deci {
			err = fmt.Errorf("layout %s where deci is possible", res.Kind)
		}
		sw.report(name, c, res, d, err)
	}
	sw.repairs(ctx, name, run, layoutCases(run.session.Blocks()))
}

// report prints a line of the table and counts it.
func (sw *layoutSweep) report(name string, c layoutCase, res *layout.Result, d diff, err error) {
	var refused *layout.RefusedError
	kind, text := "", c.mask.String()
	switch {
	case errors.As(err, &refused):
		sw.refused++
		kind, text = "refused", text+": "+refused.Error()
	case err != nil:
		sw.wrong++
		kind, text = "WRONG", text+": "+err.Error()
	case !d.within(res.Exact):
		sw.wrong++
		kind, text = "WRONG", fmt.Sprintf("%s: layout %s", text, res.Kind)
	default:
		sw.ok++
		kind = string(res.Kind)
	}
	fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12.3g %10.2g  %s\n", name, c.name, kind, d.maxAbs, d.nmse, text)
}

// layoutCases are (a) two whole layers, or the most that fit, (b) one attention, (c) one FFN, (d) random masks, and (e) an FFN
// with the attention behind it, which re-pairs into one layer.
func layoutCases(blocks []blockmask.Block) []layoutCase {
	rng := rand.New(rand.NewPCG(2, uint64(len(blocks))))
	var cases []layoutCase
	add := func(name string, mask blockmask.Mask) {
		if mask.Len() > 0 && mask.Len() < len(blocks) {
			cases = append(cases, layoutCase{name, mask, remainsPartial(blocks, mask)})
		}
	}
	layers := layersOf(blocks)
	pick := rng.Perm(len(layers))[:min(2, len(layers)-1)]
	whole := blockmask.New()
	for _, i := range pick {
		whole = whole.Union(layers[i])
	}
	add("a layers", whole)
	for _, kind := range []blockmask.Kind{blockmask.Mixer, blockmask.FFN} {
		of := slices.DeleteFunc(slices.Clone(blocks), func(b blockmask.Block) bool { return b.Kind != kind })
		if len(of) > 0 {
			add(map[blockmask.Kind]string{blockmask.Mixer: "b attn", blockmask.FFN: "c ffn"}[kind], blockmask.New(of[rng.IntN(len(of))]))
		}
	}
	add("d random", randomPartial(rng, blocks))
	for i := range len(blocks) - 1 {
		if blocks[i].Kind == blockmask.FFN && blocks[i+1].Kind == blockmask.Mixer {
			add("e between", blockmask.New(blocks[i], blocks[i+1]))
			break
		}
	}
	return cases
}

// layersOf groups the blocks by layer.
func layersOf(blocks []blockmask.Block) []blockmask.Mask {
	var layers []blockmask.Mask
	for i, b := range blocks {
		if i == 0 || blocks[i-1].Layer != b.Layer {
			layers = append(layers, blockmask.New())
		}
		layers[len(layers)-1] = layers[len(layers)-1].With(b)
	}
	return layers
}

// remainsPartial reports whether re-pairing leaves a layer without mixer or FFN.
func remainsPartial(blocks []blockmask.Block, mask blockmask.Mask) bool {
	return slices.ContainsFunc(blockmask.Pair(blocks, mask), func(l blockmask.Layer) bool { return !l.Full() })
}

// randomPartial draws a random mask; for small models, where it often re-pairs into full layers, it tries for one that
// does not.
func randomPartial(rng *rand.Rand, blocks []blockmask.Block) blockmask.Mask {
	mask := blockmask.New()
	if len(blocks) < 2 {
		return mask
	}
	for range 20 {
		if mask = randomMask(rng, blocks); remainsPartial(blocks, mask) {
			break
		}
	}
	return mask
}

// modelRun is a model that is open both as a file and in the engine.
type modelRun struct {
	file    *gguf.File
	model   *llamabind.Model
	session *llamabind.Session
	blocks  []layout.Block
	batch   []engine.Sequence
}

func openModel(ctx context.Context, path string) (*modelRun, error) {
	r := &modelRun{}
	var err error
	if r.file, err = gguf.Open(path); err != nil {
		return nil, err
	}
	r.model, err = llamabind.LoadModel(ctx, path, engine.ModelParams{NoMmap: true})
	if err != nil {
		r.close()
		return nil, err
	}
	r.session, err = r.model.NewSession(ctx, engine.SessionParams{NSeq: layoutSeqs, SeqLen: layoutLen})
	if err != nil {
		r.close()
		return nil, err
	}
	for _, b := range r.session.Blocks() {
		r.blocks = append(r.blocks, layout.Block{Block: b, Weights: r.session.Weights(b)})
	}
	rng := rand.New(rand.NewPCG(3, uint64(len(r.blocks))))
	for range layoutSeqs {
		s := engine.Sequence{}
		for range layoutLen {
			s.Tokens = append(s.Tokens, engine.Token(rng.IntN(r.model.Info().NVocab)))
			s.Targets = append(s.Targets, 0)
		}
		r.batch = append(r.batch, s)
	}
	return r, nil
}

func (r *modelRun) close() {
	if r.session != nil {
		r.session.Close()
	}
	if r.model != nil {
		r.model.Close()
	}
	r.file.Close()
}

// try writes the model without the blocks in mask to path, runs that file and compares.
func (r *modelRun) try(ctx context.Context, mask blockmask.Mask, path string) (*layout.Result, diff, error) {
	res, err := layout.Build(layout.Request{Source: r.file, Blocks: r.blocks, Removed: mask})
	if err != nil {
		return nil, diff{}, err
	}
	want, err := collectLogits(ctx, r.session, r.batch, mask)
	if err != nil {
		return nil, diff{}, fmt.Errorf("masked original: %w", err)
	}
	d, err := r.written(ctx, res, path, want)
	return res, d, err
}

// written writes the planned file to path, runs it and compares its logits with want.
func (r *modelRun) written(ctx context.Context, res *layout.Result, path string, want []float32) (diff, error) {
	p, err := gguf.WriteTemp(ctx, path, res.Plan, gguf.WriteOptions{Force: true})
	if err != nil {
		return diff{}, err
	}
	defer p.Discard()
	if err := checkMTP(r.file, p.Path()); err != nil {
		return diff{}, fmt.Errorf("layout %s: %w", res.Kind, err)
	}
	got, err := unedited(ctx, p.Path(), r.batch)
	if err != nil {
		return diff{}, fmt.Errorf("layout %s: %w", res.Kind, err)
	}
	return compare(want, got), nil
}

// unedited runs the file as any user of llama.cpp would.
func unedited(ctx context.Context, path string, batch []engine.Sequence) ([]float32, error) {
	m, err := llamabind.LoadModel(ctx, path, engine.ModelParams{})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := m.NewSession(ctx, engine.SessionParams{NSeq: layoutSeqs, SeqLen: layoutLen, Unedited: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return collectLogits(ctx, s, batch, nil)
}

// diff says how far two runs are apart.
type diff struct{ maxAbs, nmse float64 }

// compare: NMSE is the mean squared error in units of the mean square of want.
func compare(want, got []float32) diff {
	d := diff{maxAbs: maxAbsDiff(want, got)}
	var err, power float64
	for i := range min(len(want), len(got)) {
		e := float64(want[i]) - float64(got[i])
		err += e * e
		power += float64(want[i]) * float64(want[i])
	}
	d.nmse = err / max(power, math.SmallestNonzeroFloat64)
	return d
}

// within reports whether the runs agree: to the bit if the layout is exact. NaN never does.
func (d diff) within(exact bool) bool { return d.maxAbs == 0 || !exact && d.near(layoutNMSE) }

// near reports whether the runs agree up to an NMSE.
func (d diff) near(nmse float64) bool { return d.nmse <= nmse && !math.IsInf(d.maxAbs, 0) }
