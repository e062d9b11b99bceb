package report

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/layout/naming"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Job is what the command report is asked to do.
type Job struct {
	Plan    string // file of the plan
	Source  string // file of the whole model; "" is not read
	Pruned  string // file that was written from the plan; "" is none
	Files   Files
	Force   bool
	Command []string // the command line
}

// Outcome is what a report was made of.
type Outcome struct {
	Plan    *plan.Plan
	Steps   int // of the plan, that the report says are carried out
	Written *Written
}

// Run writes a report of a plan.
func Run(ctx context.Context, j Job) (*Outcome, error) {
	inputs := []string{j.Plan}
	for _, path := range []string{j.Source, j.Pruned} {
		if path != "" {
			inputs = append(inputs, path)
		}
	}
	if err := j.Files.Check(j.Force, inputs...); err != nil {
		return nil, err
	}
	plan, err := planfile.ReadWhole(j.Plan)
	if err != nil {
		return nil, err
	}
	in := Input{Plan: plan, PlanPath: j.Plan, Command: j.Command}
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
	out := &Outcome{Plan: plan, Steps: len(plan.Steps)}
	if in.Steps > 0 {
		out.Steps = in.Steps
	}
	out.Written, err = j.Files.Write(in, j.Force, inputs...)
	return out, err
}

// readSource reads what the whole model's file says, and makes sure that the plan is for it.
func readSource(ctx context.Context, path string, plan *plan.Plan) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := Describe(f, path)
	if m.SHA256, err = f.SHA256(ctx); err != nil {
		return nil, err
	}
	return m, plan.CheckModel(m.SHA256, plan.Model.Blocks.Blocks())
}

// readPruned reads what a pruned file says, and finds how many steps of the plan made it.
func readPruned(ctx context.Context, path string, plan *plan.Plan) (*Model, int, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	m := Describe(f, path)
	source, mask := source.Text(f, "ggufprune.source.sha256"), source.Text(f, "ggufprune.mask")
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

// Describe is what a model's file says about itself.
func Describe(f *gguf.File, path string) *Model {
	m := &Model{Path: path, Bytes: f.Bytes(), Params: f.Params(), Layout: source.Text(f, "ggufprune.layout"), Repair: repairOf(f)}
	m.Meta = Meta{
		Name: source.Text(f, "general.name"), Author: source.Text(f, "general.author"), License: source.Text(f, "general.license"),
		LicenseName: source.Text(f, "general.license.name"), LicenseLink: source.Text(f, "general.license.link"), Repository: source.Text(f, "general.repo_url"),
		BaseURL: source.Text(f, "general.base_model.0.repo_url"), Tags: source.Texts(f, "general.tags"), Languages: source.Texts(f, "general.languages"),
		Quantization: naming.Encoding(f),
	}
	if m.Meta.Author == "" {
		m.Meta.Author = source.Text(f, "general.organization")
	}
	for _, key := range []string{"general.source.repo_url", "general.source.url", "general.url"} {
		if m.Meta.Repository == "" {
			m.Meta.Repository = source.Text(f, key)
		}
	}
	return m
}

// repairOf reads what a repair changed in a file, nil for nothing.
func repairOf(f *gguf.File) *Repair {
	tensors := source.Texts(f, "ggufprune.repair.tensors")
	if len(tensors) == 0 {
		return nil
	}
	r := &Repair{Tensors: len(tensors), Text: source.Text(f, "ggufprune.repair.calibration")}
	r.Types = slices.Compact(slices.Sorted(slices.Values(source.Texts(f, "ggufprune.repair.types"))))
	for key, to := range map[string]*float64{"nll_before": &r.Before, "nll_after": &r.After} {
		if nll, found, err := f.Float("ggufprune.repair." + key); found && err == nil {
			*to = math.Exp(nll)
		}
	}
	return r
}
