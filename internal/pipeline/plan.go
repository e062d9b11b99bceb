package pipeline

import (
	"cmp"
	"slices"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/engine"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// newPlan records a search with all that identifies what it was made from.
func (s *Source) newPlan(j Job, c *calibration, blocks []layout.Block, found Found) (*plan.Plan, error) {
	hash, err := s.SHA256()
	if err != nil {
		return nil, err
	}
	var all blockmask.Mask
	for _, b := range blocks {
		all = all.With(b.Block)
	}
	text := c.describe()
	if found.ScoredOn != "" {
		text.Description += "; scored after a repair, on " + found.ScoredOn
	}
	return &plan.Plan{
		Tool:     j.Tool,
		LlamaCpp: llamabind.LlamaTag,
		Model: plan.Model{
			Path: s.Runtime.Path, SHA256: hash, Arch: s.File.Arch(), Params: s.File.Params(), Size: s.File.Bytes(), Blocks: all,
		},
		Calibration: text,
		Metric:      j.Method.Metric.String(),
		Settings:    found.Settings,
		Audit:       found.Audit,
		Refine:      found.Refined,
		Base:        found.Result.Base,
		Steps:       found.Result.Steps,
	}, nil
}

// provenance is what a file made by the first k steps of p says of its origin. Blocks that a step removed together have
// the same score.
func provenance(p *plan.Plan, k int) layout.Provenance {
	var scores []float64
	for _, s := range p.Steps[:k] {
		scores = append(scores, slices.Repeat([]float64{s.Score}, s.Removed.Len())...)
	}
	return layout.Provenance{
		SourceSHA256: p.Model.SHA256,
		Metric:       p.Metric + " " + p.Calibration.Convention,
		Calibration:  p.Calibration.Description,
		Tool:         p.Tool,
		LlamaCpp:     llamabind.LlamaTag,
		Removed:      p.Removed(k),
		BaseScore:    p.Base,
		Scores:       scores,
	}
}

// savePlan writes the plan to j.Plan, if that is asked for.
func savePlan(j Job, p *plan.Plan) error {
	if j.Plan == "" {
		return nil
	}
	return planfile.Write(j.Plan, p)
}

// plannedSteps chooses how many steps of a plan to apply: all, or as many as goal needs.
func plannedSteps(p *plan.Plan, goal search.Goal, size func(blockmask.Mask) (int64, error)) (int, error) {
	if goal == (search.Goal{}) {
		return len(p.Steps), nil
	}
	return p.Prefix(goal, size)
}

// defaultContext is n_ctx where the user gives none: llama-perplexity's, or the model's if that is shorter.
func defaultContext(given int, info engine.ModelInfo) int {
	const usual = 512
	if given > 0 {
		return given
	}
	return min(usual, cmp.Or(info.NCtxTrain, usual))
}
