package find

import (
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/calibrate"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/internal/repair"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// newPlan records a search with all that identifies what it was made from.
func (f *finder) newPlan(c *calibrate.Calibration, found found) (*plan.Plan, error) {
	hash, err := f.src.SHA256()
	if err != nil {
		return nil, err
	}
	var all blockmask.Mask
	for _, b := range f.blocks {
		all = all.With(b.Block)
	}
	text := c.Describe()
	if found.scoredOn != "" {
		text.Description += "; scored after a repair, on " + found.scoredOn
	}
	return &plan.Plan{
		Tool:     f.Tool,
		LlamaCpp: f.src.Spec.Engine.Version().Tag,
		Model: plan.Model{
			Path: f.src.Spec.Path, SHA256: hash, Arch: f.src.File.Arch(), Params: f.src.File.Params(), Size: f.src.File.Bytes(), Blocks: all,
			Channels: f.channels(found.result.Steps),
		},
		Calibration: text,
		Metric:      f.Method.Metric.String(),
		Settings:    found.settings,
		Audit:       found.audit,
		Refine:      found.refined,
		Base:        found.result.Base,
		Steps:       found.result.Steps,
	}, nil
}

// channels are the widths of the model's FFNs by layer; nil where the steps remove whole blocks only.
func (f *finder) channels(steps []search.Step) []int {
	if !slices.ContainsFunc(steps, func(s search.Step) bool { return s.Removed.WholeBlocks() != nil }) {
		return nil
	}
	var out []int
	for _, b := range f.blocks {
		for len(out) <= b.Layer {
			out = append(out, 0)
		}
		if b.Kind == blockmask.FFN {
			out[b.Layer], _ = repair.Channels(f.src.File, b)
		}
	}
	return out
}

// savePlan writes the plan to f.Plan, if that is asked for.
func (f *finder) savePlan(p *plan.Plan) error {
	if f.Plan == "" {
		return nil
	}
	return planfile.Write(f.Plan, p)
}

// Provenance is what a file made by the first k steps of p says of its origin. Blocks that a step removed together have
// the same score.
func Provenance(p *plan.Plan, k int, llamaCpp string) layout.Provenance {
	if p.Order != "" {
		return layout.Provenance{SourceSHA256: p.Model.SHA256, Tool: p.Tool, LlamaCpp: llamaCpp, Removed: p.Removed(k)}
	}
	var scores []float64
	for _, s := range p.Steps[:k] {
		scores = append(scores, slices.Repeat([]float64{s.Score}, s.Removed.Len())...)
	}
	return layout.Provenance{
		SourceSHA256: p.Model.SHA256,
		Metric:       p.Metric + " " + p.Calibration.Convention,
		Calibration:  p.Calibration.Description,
		Tool:         p.Tool,
		LlamaCpp:     llamaCpp,
		Removed:      p.Removed(k),
		BaseScore:    p.Base,
		Scores:       scores,
	}
}

// PlannedSteps chooses how many steps of a plan to apply: all, or as many as goal needs.
func PlannedSteps(p *plan.Plan, goal search.Goal, size func(blockmask.Mask) (int64, error)) (int, error) {
	if goal == (search.Goal{}) {
		return len(p.Steps), nil
	}
	return p.Prefix(goal, size)
}
