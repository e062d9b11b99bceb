package prune

import (
	"cmp"
	"context"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/compare"
	"github.com/ggufprune/ggufprune/internal/corpus"
	"github.com/ggufprune/ggufprune/internal/evaluate"
	"github.com/ggufprune/ggufprune/internal/find"
	"github.com/ggufprune/ggufprune/internal/narrow"
	"github.com/ggufprune/ggufprune/internal/outfile"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/progress"
	"github.com/ggufprune/ggufprune/internal/publish"
	"github.com/ggufprune/ggufprune/internal/quantize"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/layout/arch"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Common is what all jobs of this package are asked.
type Common struct {
	Spec   source.Spec
	Text   corpus.Text // to score, to repair and to check on
	Layout layout.Kind
	Repair repair.Options // of the file; a search takes it into account
	Tool   string         // version of this program
	Force  bool           // replace existing files
}

// Writing says how a file is written.
type Writing struct {
	Output   string // "" is the name that the GGUF convention gives
	NoCheck  bool
	Ollama   string           // the name under which a running Ollama gets the file; "" for none
	Quantize quantize.Options // of the written file
}

// SearchJob asks what to remove from a model.
type SearchJob struct {
	Common
	find.Options
	SavePlan string // where the plan goes; "" is nowhere
	Order    string // of Search: where the plan goes as an order (plan.EncodeOrder), too; "" is nowhere

	Tasks evaluate.TasksJob // that shapes of FFNs are judged by, too, without a model and a mask
}

// Job asks for a pruned file: search, write, check, compare.
type Job struct {
	SearchJob
	Writing
	Compare *compare.Job // without the models; nil is nothing
}

// ApplyJob asks for the file that a plan or a mask describes.
type ApplyJob struct {
	Common
	Writing
	Plan   string         // the plan's file; "" where Order, Mask or MaskOf says what to remove
	Order  string         // instead of a plan, the file of an order (plan.DecodeOrder)
	Goal   search.Goal    // how much of the plan; all of it if zero
	Mask   blockmask.Mask // what to remove without a plan
	MaskOf string         // a file that this program pruned: what it lacks is removed, in its layout
}

// Outcome is what a job did.
type Outcome struct {
	Model   source.Facts
	Plan    *plan.Plan // nil when a mask was applied
	Order   string     // the file that a search wrote its order to; "" for none
	Steps   []search.Step
	Removed blockmask.Mask
	Write   *write.Result        // nil for search
	Repair  *fit.Result          // nil: none was asked for, or nothing could be repaired
	Raised  map[string]gguf.Type // of repaired tensors in another type than the source's, by their names there
	Publish *publish.Publication // what was made for Ollama of the file; nil if nothing

	Comparison *compare.Comparison // nil where nothing was compared
}

// HeldOut is how the file does on text that the search has not seen; nil where that was not measured, or the file has fewer steps than the
// plan that was looked at.
func (o *Outcome) HeldOut() *plan.HeldOut {
	if o.Plan == nil || len(o.Steps) < len(o.Plan.Steps) {
		return nil
	}
	return o.Plan.HeldOut
}

// Search finds what to remove, and saves the plan.
func Search(ctx context.Context, j SearchJob, sink progress.Sink) (*Outcome, error) {
	if err := j.checkPlan("", j.inputs()); err != nil {
		return nil, err
	}
	if err := j.checkOrder(); err != nil {
		return nil, err
	}
	text, err := j.Calibration.Read(j.Text)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, j.Spec)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if err := j.Repair.CheckType(src.File); err != nil {
		return nil, err
	}
	out, _, err := j.find(ctx, src, text, find.Job{}, sink)
	if err != nil || j.Order == "" {
		return out, err
	}
	if err := planfile.WriteOrder(j.Order, out.Plan); err != nil {
		return nil, fmt.Errorf("the search is done (%s), but its order is not written: %w", j.SavePlan, err)
	}
	out.Order = j.Order
	return out, nil
}

// About what follows a search or a fit, in positions that run through the model.
const (
	checkedPositions  = 16000 // the checks of the file
	comparedPositions = 40000 // a comparison: three perplexities, a quantisation and speeds
)

// Run prunes: it searches, writes and checks the file, and sets it beside the original.
func Run(ctx context.Context, j Job, sink progress.Sink) (*Outcome, error) {
	inputs := j.Inputs()
	if err := j.Writing.check(j.Common, inputs, j.SavePlan); err != nil {
		return nil, err
	}
	if err := j.checkPlan(j.Output, inputs); err != nil {
		return nil, j.planThere(err)
	}
	if err := j.publication(j.Common).CheckOllama(ctx); err != nil {
		return nil, err
	}
	if j.Compare != nil {
		if err := j.Compare.CheckRival(j.Spec.Path); err != nil {
			return nil, err
		}
	}
	text, err := j.Calibration.Read(j.Text)
	if err != nil {
		return nil, err
	}
	sets, err := j.Tasks.Read()
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, j.Spec)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if err := outfile.CheckRoom(cmp.Or(j.Output, "the output"), j.leastOutput(src.File)); err != nil {
		return nil, err
	}
	w, err := newFileWriter(ctx, src, j.Common, j.Writing, inputs, sink)
	if err != nil {
		return nil, err
	}
	job := find.Job{Writes: true, Output: j.Output, Types: w.writer.Quantizer.Types(), Tasks: narrow.Tasks{Sets: sets}}
	if !j.NoCheck {
		job.After += checkedPositions
	}
	if j.Compare != nil {
		job.After += comparedPositions
	}
	out, found, err := j.find(ctx, src, text, job, sink)
	if err != nil {
		return nil, err
	}
	w.searched, w.Repair = true, found.Repair
	origin := find.Provenance(out.Plan, len(out.Plan.Steps), j.Spec.Engine.Version().Tag)
	if found.Fitted != nil {
		err = w.writeFitted(ctx, found.Blocks, out.Removed, found.Fitted, origin, out)
	} else {
		err = j.planSaved(w.write(ctx, found.Blocks, out.Removed, origin, out), found.Repair)
	}
	if err != nil {
		return nil, err
	}
	return out, j.compare(ctx, out, sink)
}

// leastOutput is what the output takes at least, before anything is known but the goal: 0 where that does not tell. Disks should be found
// full before the work, not after it. What lies outside of the layers stays as it is.
func (j Job) leastOutput(f *gguf.File) int64 {
	const sure = 0.8 // steps are coarse, and tensors of layers differ in their types
	switch {
	case j.Quantize.Params.Type.Name != "":
		return 0
	case j.Goal.Size > 0:
		return int64(sure * float64(min(j.Goal.Size, f.Bytes())))
	case j.Goal.Ratio == 0:
		return 0
	}
	var stays, bytes, all, params float64 // outside of the layers, and in them; params of both, and of layers
	for _, t := range f.Tensors() {
		all += float64(t.Elements())
		if _, _, ok := arch.SplitName(t.Name); ok {
			bytes, params = bytes+float64(t.Size), params+float64(t.Elements())
		} else {
			stays += float64(t.Size)
		}
	}
	if params == 0 {
		return 0
	}
	return int64(sure * (stays + bytes*max(0, 1-j.Goal.Ratio*all/params)))
}

// find searches src as job says, which lacks what SearchJob has.
func (j SearchJob) find(ctx context.Context, src *source.Source, text *perplexity.Corpus, job find.Job, sink progress.Sink) (*Outcome, *find.Result, error) {
	j.Text.Context = source.DefaultContext(j.Text.Context, src.Model.Info())
	job.Options, job.Text, job.Layout, job.Repair, job.Plan, job.Tool = j.Options, j.Text, j.Layout, j.Repair, j.SavePlan, j.Tool
	job.Tasks.Job = j.Tasks
	found, err := find.Run(ctx, src, job, text, sink)
	if err != nil {
		return nil, nil, err
	}
	return &Outcome{
		Model: src.Facts(found.Blocks, found.Plan.Model.SHA256), Plan: found.Plan, Steps: found.Plan.Steps, Removed: found.Removed,
	}, found, nil
}
