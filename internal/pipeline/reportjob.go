package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/report"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search/plan"
)

// ReportJob is what the command report is asked to do.
type ReportJob struct {
	Plan    string // file of the plan
	Source  string // file of the whole model; "" is not read
	Pruned  string // file that was written from the plan; "" is none
	Files   ReportFiles
	Force   bool
	Command []string // the command line
}

// ReportOutcome is what a report was made of.
type ReportOutcome struct {
	Plan    *plan.Plan
	Steps   int // of the plan, that the report says are carried out
	Written *WrittenReport
}

// Report writes a report of a plan.
func Report(ctx context.Context, j ReportJob) (*ReportOutcome, error) {
	inputs := []string{j.Plan}
	for _, path := range []string{j.Source, j.Pruned} {
		if path != "" {
			inputs = append(inputs, path)
		}
	}
	if err := j.Files.Check(j.Force, inputs...); err != nil {
		return nil, err
	}
	plan, err := planfile.Read(j.Plan)
	if err != nil {
		return nil, err
	}
	in := report.Input{Plan: plan, PlanPath: j.Plan, Command: j.Command}
	if j.Source != "" {
		if in.Source, err = readSource(ctx, j.Source, plan); err != nil {
			return nil, err
		}
	}
	if j.Pruned != "" {
		if in.Pruned, in.Steps, err = readPruned(ctx, j.Pruned, plan); err != nil {
			return nil, err
		}
	}
	out := &ReportOutcome{Plan: plan, Steps: len(plan.Steps)}
	if in.Steps > 0 {
		out.Steps = in.Steps
	}
	out.Written, err = j.Files.Write(in, j.Force, inputs...)
	return out, err
}

// readSource reads what the whole model's file says, and makes sure that the plan is for it.
func readSource(ctx context.Context, path string, plan *plan.Plan) (*report.Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := describe(f, path)
	if m.SHA256, err = f.SHA256(ctx); err != nil {
		return nil, err
	}
	return m, plan.CheckModel(m.SHA256, plan.Model.Blocks)
}

// readPruned reads what a pruned file says, and finds how many steps of the plan made it.
func readPruned(ctx context.Context, path string, plan *plan.Plan) (*report.Model, int, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	m := describe(f, path)
	source, mask := text(f, "ggufprune.source.sha256"), text(f, "ggufprune.mask")
	if mask == "" {
		return nil, 0, fmt.Errorf("%s was not pruned by this program; give a file that prune or apply wrote", path)
	}
	if source != plan.Model.SHA256 {
		return nil, 0, fmt.Errorf("%s was made from another model (SHA-256 %.12s...) than the plan is for (%.12s...); give a file that was written from this plan", path, source, plan.Model.SHA256)
	}
	for k := 1; k <= len(plan.Steps); k++ {
		if plan.Mask(k).String() == mask {
			m.SHA256, err = f.SHA256(ctx)
			return m, k, err
		}
	}
	return nil, 0, fmt.Errorf("%s lacks the blocks %.200s, which no number of the plan's steps removes; give a file that was written from this plan", path, mask)
}

// describe is what a model's file says about itself.
func describe(f *gguf.File, path string) *report.Model {
	m := &report.Model{Path: path, Bytes: f.Bytes(), Params: f.Params(), Layout: text(f, "ggufprune.layout"), Repair: repairOf(f)}
	m.Meta = report.Meta{
		Name: text(f, "general.name"), Author: text(f, "general.author"), License: text(f, "general.license"),
		LicenseName: text(f, "general.license.name"), LicenseLink: text(f, "general.license.link"), Repository: text(f, "general.repo_url"),
		BaseURL: text(f, "general.base_model.0.repo_url"), Tags: texts(f, "general.tags"), Languages: texts(f, "general.languages"),
		Quantization: layout.Encoding(f),
	}
	if m.Meta.Author == "" {
		m.Meta.Author = text(f, "general.organization")
	}
	for _, key := range []string{"general.source.repo_url", "general.source.url", "general.url"} {
		if m.Meta.Repository == "" {
			m.Meta.Repository = text(f, key)
		}
	}
	return m
}

// repairOf reads what a repair changed in a file, nil for nothing.
func repairOf(f *gguf.File) *report.Repair {
	tensors := texts(f, "ggufprune.repair.tensors")
	if len(tensors) == 0 {
		return nil
	}
	r := &report.Repair{Tensors: len(tensors), Text: text(f, "ggufprune.repair.calibration")}
	r.Types = slices.Compact(slices.Sorted(slices.Values(texts(f, "ggufprune.repair.types"))))
	for key, to := range map[string]*float64{"nll_before": &r.Before, "nll_after": &r.After} {
		if nll, found, err := f.Float("ggufprune.repair." + key); found && err == nil {
			*to = math.Exp(nll)
		}
	}
	return r
}

// text returns a string of the metadata; what is none counts as absent, for nothing depends on it.
func text(f *gguf.File, key string) string {
	s, found, err := f.Str(key)
	if err != nil || !found {
		return ""
	}
	return strings.TrimSpace(s)
}

// texts is text for arrays of strings.
func texts(f *gguf.File, key string) []string {
	kv, ok := f.KV(key)
	if !ok {
		return nil
	}
	v, err := kv.Value()
	if err != nil {
		return nil
	}
	list, _ := v.([]string)
	return list
}

// ReportInput is what a report says of the job's outcome. plan is where the plan was saved.
func (o *Outcome) ReportInput(plan string, command []string) (report.Input, error) {
	in := report.Input{Plan: o.Plan, PlanPath: plan, Steps: len(o.Steps), Command: command}
	source, err := gguf.Open(o.Model.Path)
	if err != nil {
		return in, err
	}
	defer source.Close()
	in.Source = describe(source, o.Model.Path)
	in.Source.SHA256 = o.Model.SHA256
	if o.Write == nil {
		return in, nil
	}
	pruned, err := gguf.Open(o.Write.Path)
	if err != nil {
		return in, err
	}
	defer pruned.Close()
	in.Pruned = describe(pruned, o.Write.Path)
	in.Pruned.SHA256 = o.Write.SHA256
	if k := o.Write.Check; k != nil {
		in.Check = &report.Check{
			Positions: k.Rows, MaxAbsDiff: k.MaxAbsDiff, NMSE: k.NMSE, Text: k.Text, Convention: string(k.Written.Convention), Context: k.Context,
			Sequences: k.Written.Sequences, Masked: k.Masked.PPL, Written: k.Written.PPL, StdErr: k.Written.StdErr,
		}
	}
	return in, nil
}
