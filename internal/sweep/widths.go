package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/llamabind"
)

// widthsFloor is the number of architectures that were narrowed right when this was committed; fewer is a failure.
const widthsFloor = 103

// widthNMSE is the tolerance of a narrowed file in F32, whose products are only added up in another order.
const widthNMSE = 1e-8

// quantisedFFNs are the models that are tried with FFNs in Q4_0, too, one of each form: a gate, one that is fused with the up projection,
// none, an attention side by side, a norm behind, experts in other layers.
var quantisedFFNs = []string{"llama-dense", "phi3-dense", "starcoder-dense", "falcon-dense", "gemma2-dense", "qwen-dense", "deepseek-moe"}

// numbers of layers and channels are left out of the table of reasons.
var numbers = regexp.MustCompile(`\d+`)

// inQ4 marks their variants, which are no further architectures.
const inQ4 = "/Q4_0"

// widthSweep counts what became of the architectures.
type widthSweep struct {
	out                io.Writer
	tmp                string
	ok, refused, wrong int
	reasons            map[string][]string // architectures by why they were refused
}

// widths takes, for every model in dir, half the channels out of every FFN that can lose some, has the others fitted, and writes the model
// in every layout that can hold it: with one width, and with one that differs from layer to layer. A file must compute what the fitted
// model that is loaded does.
func widths(ctx context.Context, dir, filter string) error {
	tmp, err := os.MkdirTemp("", "ggufprune-widths-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	models, err := fixtures(ctx, dir, filter, tmp)
	if err != nil {
		return err
	}
	sw := &widthSweep{out: os.Stdout, tmp: tmp, reasons: map[string][]string{}}
	fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12s %10s  %s\n", "architecture", "widths", "layout", "max abs diff", "NMSE", "FFNs, or why not")
	for _, m := range models {
		sw.model(ctx, m.name, m.path, widthNMSE)
		if slices.Contains(quantisedFFNs, m.name) {
			if err := sw.quantised(ctx, m.name, m.path); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	sw.table()
	fmt.Fprintf(sw.out, "figure width_archs_ok %d\nfigure width_archs_refused %d\nfigure width_archs_wrong %d\n", sw.ok, sw.refused, sw.wrong)
	switch {
	case sw.wrong > 0:
		return fmt.Errorf("%d architectures compute other numbers with fewer channels than the fitted model", sw.wrong)
	case filter == "" && dir == defaultDir && sw.ok < widthsFloor:
		return fmt.Errorf("only %d architectures were narrowed right, %d were before", sw.ok, widthsFloor)
	}
	return nil
}

// table lists the reasons of the refusals, the most frequent one first.
func (sw *widthSweep) table() {
	var all []string
	for r := range sw.reasons {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b string) int {
		if d := len(sw.reasons[b]) - len(sw.reasons[a]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, r := range all {
		fmt.Fprintf(sw.out, "refused %3d  %s\n             %s\n", len(sw.reasons[r]), r, strings.Join(sw.reasons[r], " "))
	}
}

// quantised sweeps a copy of the model whose FFNs are in Q4_0. Requantising narrower rows may take the file as far from the fitted model as
// quantising them took the copy from the model.
func (sw *widthSweep) quantised(ctx context.Context, name, path string) error {
	source, err := openModel(ctx, path)
	if err != nil {
		return err
	}
	defer source.close()
	plan := &gguf.Plan{KVs: source.file.KVs()}
	for _, t := range source.file.Tensors() {
		out := gguf.PlanTensor{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: gguf.Copy(source.file, t)}
		if _, rest, ok := arch.SplitName(t.Name); ok && t.Type == gguf.F32 && arch.SideOf(rest) != arch.Unknown && len(t.Dims) == 2 {
			raw, err := io.ReadAll(source.file.Data(t))
			if err != nil {
				return err
			}
			weights := make([]float32, t.Elements())
			if err := llamabind.ToFloat(uint32(t.Type), raw, weights); err != nil {
				return err
			}
			data, err := llamabind.Runtime{}.FromFloat(uint32(gguf.Q4_0), weights, int(t.Dims[0]), nil)
			if err != nil {
				return err
			}
			out.Type, out.Data = gguf.Q4_0, gguf.Bytes(data)
		}
		plan.Tensors = append(plan.Tensors, out)
	}
	p, err := gguf.WriteTemp(ctx, filepath.Join(sw.tmp, "quantised.gguf"), plan, gguf.WriteOptions{Force: true})
	if err != nil {
		return err
	}
	defer p.Discard()
	want, err := collectLogits(ctx, source.session, source.batch, nil)
	if err != nil {
		return err
	}
	got, err := unedited(ctx, p.Path(), source.batch)
	if err != nil {
		return err
	}
	sw.model(ctx, name+inQ4, p.Path(), compare(want, got).nmse)
	return nil
}

// model runs the cases of one model. nmse is how far a file may be from the fitted model.
func (sw *widthSweep) model(ctx context.Context, name, path string, nmse float64) {
	run, err := openModel(ctx, path)
	if err != nil {
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != engine.UnsupportedArch && e.Code != engine.LoadFailed {
			sw.fails(name, err)
			return
		}
		sw.refuses(name, e.Text)
		return
	}
	defer run.close()
	cases, reason := widthCases(run.file, run.blocks)
	if len(cases) == 0 {
		sw.refuses(name, reason)
		return
	}
	right := 0
	for _, c := range cases {
		n, why, err := sw.narrow(ctx, name, run, c, nmse)
		if err != nil {
			sw.fails(name, fmt.Errorf("%s: %w", c.name, err))
			return
		}
		right += n
		if reason == "" {
			reason = why
		}
	}
	if right == 0 {
		sw.refuses(name, reason)
		return
	}
	if !strings.HasSuffix(name, inQ4) {
		sw.ok++
	}
}

func (sw *widthSweep) fails(name string, err error) {
	sw.wrong++
	fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12s %10s  %v\n", name, "", "WRONG", "", "", err)
}

func (sw *widthSweep) refuses(name, reason string) {
	if strings.HasSuffix(name, inQ4) {
		sw.fails(name, fmt.Errorf("refused, and in F32 it is not: %s", reason))
		return
	}
	sw.refused++
	reason = numbers.ReplaceAllString(reason, "N")
	sw.reasons[reason] = append(sw.reasons[reason], name)
	fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12s %10s  %s\n", name, "", "refused", "", "", reason)
}

// widthCase says how many channels the FFNs keep.
type widthCase struct {
	name  string
	kept  map[blockmask.Block]int
	kinds []layout.Kind
}

// widthCases are one width for all FFNs that can lose channels, and widths that differ. reason says why others cannot.
func widthCases(f *gguf.File, blocks []layout.Block) (cases []widthCase, reason string) {
	one, mixed := map[blockmask.Block]int{}, map[blockmask.Block]int{}
	reason = "it has no FFN"
	for _, b := range blocks {
		if b.Kind != blockmask.FFN {
			continue
		}
		n, why := repair.Channels(f, b)
		if why != "" {
			reason = why
			continue
		}
		one[b.Block], mixed[b.Block] = n/2, n/2-32*(len(one)%2)
	}
	if len(one) == 0 {
		return nil, reason
	}
	cases = append(cases, widthCase{"one", one, []layout.Kind{layout.Native, layout.Deci}})
	if len(one) > 1 {
		cases = append(cases, widthCase{"mixed", mixed, []layout.Kind{layout.Native, layout.Deci}})
	}
	return cases, ""
}

// narrow fits one case and tries the layouts. right counts the files that compute what the fitted model does; refused is the first reason
// of a fit or layout that did not want to.
func (sw *widthSweep) narrow(ctx context.Context, name string, run *modelRun, c widthCase, nmse float64) (right int, refused string, err error) {
	weights := repair.NewProjections(llamabind.Runtime{}, run.file, run.blocks)
	text := run.fitText()
	whole, err := collectLogits(ctx, run.session, run.batch, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := fit.Run(ctx, run.session, weights, fit.Request{Widths: c.kept, Method: fit.Auto, Fit: text, Held: text})
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { err = errors.Join(err, run.restore(weights, res.Weights)) }()
	want, err := collectLogits(ctx, run.session, run.batch, nil)
	if err != nil {
		return 0, "", err
	}
	if maxAbsDiff(want, whole) == 0 {
		return 0, "", errors.New("the cut changed nothing that the model computes")
	}
	request := layout.Request{Source: run.file, Blocks: run.blocks, Changed: map[string][]byte{}}
	var cuts []blockmask.Cut
	for b, n := range res.Narrowed {
		cuts = append(cuts, blockmask.Cut{Block: b, Channels: n.Kept})
		request.Changed[n.Tensor] = n.Data
	}
	for t, data := range res.Weights {
		if request.Changed[t] == nil {
			request.Changed[t] = data
		}
	}
	request.Removed = blockmask.Of(cuts...)
	for _, request.Kind = range c.kinds {
		var d diff
		plan, err := layout.Build(request)
		if err == nil {
			d, err = run.written(ctx, plan, filepath.Join(sw.tmp, "narrow.gguf"), want)
		}
		var no *layout.RefusedError
		switch {
		case errors.As(err, &no):
			if refused == "" {
				refused = no.Reason
			}
			continue
		case err == nil && !d.near(nmse):
			err = fmt.Errorf("max abs diff %g, NMSE %g, at most %g", d.maxAbs, d.nmse, nmse)
		}
		if err != nil {
			return right, refused, fmt.Errorf("layout %s: %w", request.Kind, err)
		}
		right++
		fmt.Fprintf(sw.out, "%-28s %-9s %-7s %12.3g %10.2g  %d\n", name, c.name, request.Kind, d.maxAbs, d.nmse, len(c.kept))
	}
	return right, refused, nil
}
