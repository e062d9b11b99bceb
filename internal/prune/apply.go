package prune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Apply writes and checks what a plan, an order or a mask removes.
func Apply(ctx context.Context, j ApplyJob, sink progress.Sink) (*Outcome, error) {
	a, err := openApply(ctx, j, sink, true)
	if err != nil {
		return nil, err
	}
	defer a.src.Close()
	out := &Outcome{Model: a.src.Facts(a.blocks, a.hash), Plan: a.plan}
	var p layout.Provenance
	if a.plan != nil {
		k := a.step
		if k == 0 {
			if k, err = a.steps(a.job.Goal); err != nil {
				return nil, err
			}
		}
		out.Steps, out.Removed, p = a.plan.Steps[:k], a.plan.Mask(k), a.provenance(k)
	} else if out.Removed, p, err = a.fromMask(); err != nil {
		return nil, err
	}
	if err := a.checkName(out.Removed, p); err != nil {
		return nil, err
	}
	return out, a.files.write(ctx, a.blocks, out.Removed, p, out)
}

// checkName finds out before the repair whether the file can get its name, where none was given.
func (a *application) checkName(removed blockmask.Mask, p layout.Provenance) error {
	if a.files.Output != "" {
		return nil
	}
	name, err := a.defaultName(removed, p)
	if err != nil {
		return err
	}
	if err := outfile.Check(name, a.job.Force, a.files.inputs...); err != nil {
		return fmt.Errorf("without -o: %w", err)
	}
	return a.files.Quantize.CheckOutputs(a.job.Force, []string{name}, a.files.inputs)
}

// defaultName is the name that the file without removed gets by the GGUF convention.
func (a *application) defaultName(removed blockmask.Mask, p layout.Provenance) (string, error) {
	res, err := layout.Outline(layout.Request{Source: a.src.File, Blocks: a.blocks, Removed: removed, Kind: a.files.Layout, Provenance: p})
	if err != nil {
		return "", err
	}
	return a.files.writer.DefaultName(res), nil
}

var errNothing = errors.New("the plan removes nothing; search again with a larger goal")

// application is a plan, an order or a mask with the model that it is for.
type application struct {
	job    ApplyJob
	sink   progress.Sink
	plan   *plan.Plan // nil for a mask
	order  []blockmask.Block
	step   int // of the plan, after which it is the mask of the job's pruned file; 0 is not known
	src    *source.Source
	files  *fileWriter
	blocks []layout.Block
	hash   string
}

// openApply opens what the job names, and finds out what is wrong with it; oneFile says that j.Output is a file.
func openApply(ctx context.Context, j ApplyJob, sink progress.Sink, oneFile bool) (*application, error) {
	a := &application{job: j, sink: sink}
	var err error
	if j.Plan != "" {
		if a.plan, err = planfile.Read(j.Plan); err != nil {
			return nil, err
		}
	}
	if j.Order != "" {
		if a.order, err = planfile.ReadOrder(j.Order); err != nil {
			return nil, err
		}
	}
	if oneFile {
		err = j.Writing.check(j.Common, j.inputs(), "")
	} else {
		err = outfile.CheckFolder(cmp.Or(j.Output, "."))
	}
	if err != nil {
		return nil, err
	}
	if _, err := j.Text.ReadEvaluation(); err != nil {
		return nil, err
	}
	if err := j.publication(j.Common).CheckOllama(ctx); err != nil {
		return nil, err
	}
	if a.src, err = source.Open(ctx, j.Spec); err != nil {
		return nil, err
	}
	a.files, err = newFileWriter(ctx, a.src, j.Common, j.Writing, j.inputs(), sink)
	if err == nil {
		err = a.identify(ctx)
	}
	if err != nil {
		a.src.Close()
		return nil, err
	}
	a.noteText()
	return a, nil
}

// provenance is what a file made by the first k steps of the plan says of its origin.
func (a *application) provenance(k int) layout.Provenance {
	return find.Provenance(a.plan, k, a.job.Spec.Engine.Version().Tag)
}

// noteText says what a repair would better be fitted on: the text that the plan's search was given, which the plan only names.
func (a *application) noteText() {
	if a.plan == nil || a.plan.Order != "" || a.plan.Calibration.Self != nil || !a.job.Repair.Wanted() || a.job.Text.File != "" || len(a.job.Repair.Files) > 0 {
		return
	}
	if made := a.plan.Calibration.Description; !strings.HasPrefix(made, corpus.BuiltIn) {
		a.sink.Notef("the repair has the built-in text only; give what the plan was made with too (-f): %s", made)
	}
}

// identify finds the model's blocks and makes sure that the plan is for them.
func (a *application) identify(ctx context.Context) (err error) {
	if a.blocks, err = a.src.FindBlocks(ctx); err != nil {
		return err
	}
	if a.hash, err = a.src.SHA256(); err != nil {
		return err
	}
	if a.job.MaskOf != "" {
		if err := a.readMask(); err != nil {
			return err
		}
	}
	if a.order != nil {
		return a.planOrder()
	}
	if a.plan == nil {
		return nil
	}
	if err := a.plan.CheckModel(a.hash, source.PlainBlocks(a.blocks)); err != nil || a.job.MaskOf == "" {
		return err
	}
	for k := range a.plan.Steps {
		if a.plan.Mask(k + 1).Equal(a.job.Mask) {
			a.step = k + 1
			return nil
		}
	}
	return fmt.Errorf("%s lacks %s, which is no step of the plan %s; give the plan that it was made from, or none", a.job.MaskOf, a.job.Mask, a.job.Plan)
}

// readMask takes mask and layout from the file that the job names, which must have been made from the same model.
func (a *application) readMask() error {
	path := a.job.MaskOf
	f, err := source.OpenFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	mask, hash := source.Text(f, "ggufprune.mask"), source.Text(f, "ggufprune.source.sha256")
	if mask == "" {
		return fmt.Errorf("%s was not pruned by this program; give a file that prune or apply wrote", path)
	}
	if hash != a.hash {
		return fmt.Errorf("%s was made from another model (SHA-256 %.12s...) than %s (%.12s...); give the model that it was pruned from",
			path, hash, a.job.Spec.Path, a.hash)
	}
	if a.job.Mask, err = blockmask.ParseKey(mask); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	a.files.Layout, err = layout.ParseKind(source.Text(f, "ggufprune.layout"))
	return err
}

// steps returns how many steps of the plan goal needs.
func (a *application) steps(goal search.Goal) (int, error) {
	k, err := find.PlannedSteps(a.plan, goal, a.size)
	if err == nil && k == 0 {
		err = errNothing
	}
	if err == nil && (goal.MaxPPLRatio > 0 || goal.MaxKLD > 0) && a.plan.Steps[k-1].Sequences() > 0 {
		a.sink.Warnf("step %d's score in the plan is an estimate: the file may be outside the bound; ggufprune ppl measures it", k)
	}
	return k, err
}

// size predicts the bytes of the file without m.
func (a *application) size(m blockmask.Mask) (int64, error) {
	p := a.provenance(stepsOf(a.plan, m))
	p.Repair = repair.Expected(a.src, a.job.Repair, a.job.Text, a.blocks, m)
	return layout.Size(layout.Request{Source: a.src.File, Blocks: a.blocks, Removed: m, Kind: a.files.Layout, Provenance: p})
}

// stepsOf returns how many steps of plan remove m.
func stepsOf(plan *plan.Plan, m blockmask.Mask) int {
	for k := range plan.Steps {
		if plan.Mask(k + 1).Equal(m) {
			return k + 1
		}
	}
	return len(plan.Steps)
}

// fromMask takes the job's mask.
func (a *application) fromMask() (blockmask.Mask, layout.Provenance, error) {
	if len(a.job.Mask) == 0 {
		return nil, layout.Provenance{}, errors.New("the mask is empty; name blocks to remove, such as attn:3,ffn:7-9")
	}
	if err := a.job.Mask.Check(source.PlainBlocks(a.blocks)); err != nil {
		return nil, layout.Provenance{}, err
	}
	return a.job.Mask, layout.Provenance{SourceSHA256: a.hash, Tool: a.job.Tool, LlamaCpp: a.job.Spec.Engine.Version().Tag, Removed: a.job.Mask.Blocks()}, nil
}
