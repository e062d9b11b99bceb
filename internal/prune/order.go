package prune

import (
	"fmt"
	"math"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/source"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// planOrder makes a plan of the order, with all that follows from the model: what the steps remove of its parameters, and the sizes of the
// files. Scores are NaN.
func (a *application) planOrder() error {
	blocks := source.PlainBlocks(a.blocks)
	if err := blockmask.New(a.order...).Check(blocks); err != nil {
		return fmt.Errorf("%s is not for this model: %w", a.job.Order, err)
	}
	f, sizes := a.src.File, a.src.Sizes(a.blocks)
	a.plan = &plan.Plan{
		Tool: a.job.Tool, LlamaCpp: a.job.Spec.Engine.Version().Tag, Order: a.job.Order, Base: math.NaN(),
		Model: plan.Model{Path: a.job.Spec.Path, SHA256: a.hash, Arch: f.Arch(), Params: f.Params(), Size: f.Bytes(), Blocks: blockmask.New(blocks...)},
	}
	params := uint64(0)
	for i, b := range a.order {
		params += sizes.Of(b).Params
		a.plan.Steps = append(a.plan.Steps, search.Step{
			Index: i + 1, Removed: blockmask.New(b), Score: math.NaN(), ParamsRemoved: params, Ratio: float64(params) / float64(f.Params()),
		})
	}
	for i := range a.plan.Steps {
		if n, err := a.size(a.plan.Mask(i + 1)); err == nil {
			a.plan.Steps[i].Size = n // else no layout holds this step
		}
	}
	return nil
}
