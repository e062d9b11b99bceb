package report

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/jsonnum"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/prune"
	"github.com/ggufprune/ggufprune/internal/report/page"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/internal/write"
	"github.com/ggufprune/ggufprune/layout/naming"
	"github.com/ggufprune/ggufprune/search/plan"
)

// OfPlan is what is to be said of the plan in a file. whole is the file of the model that it is for, and pruned one that was written from
// it; "" is not read. It is an error where they do not belong together.
func OfPlan(ctx context.Context, path, whole, pruned string) (page.Input, error) {
	plan, err := planfile.Read(path)
	if err != nil {
		return page.Input{}, err
	}
	in := page.Input{Plan: plan, PlanPath: path}
	if whole != "" {
		if in.Source, err = readWhole(ctx, whole, plan); err != nil {
			return in, err
		}
	}
	if pruned != "" {
		in.Pruned, in.Steps, err = readPruned(ctx, pruned, plan)
	}
	return in, err
}

// OfPrune is what is to be said of a finished prune. plan is where its plan was saved, "" for nowhere.
func OfPrune(out *prune.Outcome, plan string) (page.Input, error) {
	in := page.Input{Plan: out.Plan, PlanPath: plan, Steps: len(out.Steps)}
	var err error
	if in.Source, err = describeFile(out.Model.Path, out.Model.SHA256); err != nil || out.Write == nil {
		return in, err
	}
	in.Pruned, err = describeFile(out.Write.Path, out.Write.SHA256)
	in.Check = ofCheck(out.Write.Check)
	return in, err
}

// ofCheck is what a page says of a check; nil where there was none.
func ofCheck(c *write.Check) *page.Check {
	if c == nil {
		return nil
	}
	out := &page.Check{
		Positions: c.Rows, MaxAbsDiff: c.MaxAbsDiff, NMSE: c.NMSE, Text: c.Text, Convention: string(c.Written.Convention), Context: c.Context,
		Sequences: c.Written.Sequences, Masked: c.Masked.PPL, Written: c.Written.PPL,
	}
	if jsonnum.Finite(c.Written.StdErr) {
		out.StdErr = c.Written.StdErr
	}
	return out
}

// readWhole reads what the whole model's file says, and makes sure that the plan is for it.
func readWhole(ctx context.Context, path string, plan *plan.Plan) (*page.Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := describe(f, path)
	if m.SHA256, err = f.SHA256(ctx); err != nil {
		return nil, err
	}
	return m, plan.CheckModel(m.SHA256, plan.Model.Blocks.Blocks())
}

// readPruned reads what a pruned file says, and finds how many steps of the plan made it.
func readPruned(ctx context.Context, path string, plan *plan.Plan) (*page.Model, int, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	m := describe(f, path)
	from, mask := source.Text(f, "ggufprune.source.sha256"), source.Text(f, "ggufprune.mask")
	if mask == "" {
		return nil, 0, fmt.Errorf("%s was not pruned by this program; give a file that prune or apply wrote", path)
	}
	if from != plan.Model.SHA256 {
		return nil, 0, fmt.Errorf("%s was made from another model (SHA-256 %.12s...) than the plan is for (%.12s...); give a file that was written from this plan", path, from, plan.Model.SHA256)
	}
	for k := 1; k <= len(plan.Steps); k++ {
		if plan.Mask(k).Key() == mask {
			m.SHA256, err = f.SHA256(ctx)
			return m, k, err
		}
	}
	if m, err := blockmask.ParseKey(mask); err == nil && m.WholeBlocks() != nil {
		mask = m.Brief(200)
	} else {
		mask = "the blocks " + mask
	}
	return nil, 0, fmt.Errorf("%s lacks %.200s, which no number of the plan's steps removes; give a file that was written from this plan", path, mask)
}

// describeFile is what a file whose hash is known says about itself.
func describeFile(path, sha256 string) (*page.Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := describe(f, path)
	m.SHA256 = sha256
	return m, nil
}

// describe is what a model's file says about itself.
func describe(f *gguf.File, path string) *page.Model {
	m := &page.Model{Path: path, Bytes: f.Bytes(), Params: f.Params(), Layout: source.Text(f, "ggufprune.layout"), Repair: repairOf(f)}
	m.Meta = page.Meta{
		Name: source.Text(f, "general.name"), Author: source.Text(f, "general.author"), License: source.Text(f, "general.license"),
		LicenseName: source.Text(f, "general.license.name"), LicenseLink: source.Text(f, "general.license.link"), Repository: source.Text(f, "general.repo_url"),
		BaseURL: source.Text(f, "general.base_model.0.repo_url"), Tags: source.Array[string](f, "general.tags"), Languages: source.Array[string](f, "general.languages"),
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
func repairOf(f *gguf.File) *page.Repair {
	tensors := source.Array[string](f, "ggufprune.repair.tensors")
	if len(tensors) == 0 {
		return nil
	}
	r := &page.Repair{Tensors: len(tensors), Text: source.Text(f, "ggufprune.repair.calibration")}
	r.Types = slices.Compact(slices.Sorted(slices.Values(source.Array[string](f, "ggufprune.repair.types"))))
	for key, to := range map[string]*float64{"nll_before": &r.Before, "nll_after": &r.After} {
		if nll, found, err := f.Float("ggufprune.repair." + key); found && err == nil {
			*to = math.Exp(nll)
		}
	}
	return r
}
