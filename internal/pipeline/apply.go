package pipeline

import (
	"context"
	"errors"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/search"
)

// sessionTokens is the batch of a context that is opened only to find the model's blocks.
const sessionTokens = 32

// Apply writes and checks what a plan or a mask removes.
func Apply(ctx context.Context, j Job, rep Reporter) (*Outcome, error) {
	var plan *search.Plan
	if j.Plan != "" {
		var err error
		if plan, err = search.ReadPlan(j.Plan); err != nil {
			return nil, err
		}
		j.Plan = ""
	}
	if err := j.checkOutputs(true); err != nil {
		return nil, err
	}
	if _, err := j.Text.ReadEvaluation(); err != nil {
		return nil, err
	}
	src, err := Open(ctx, j.Runtime)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	j.Text.Context = defaultContext(j.Text.Context, src.Model.Info())
	blocks, err := src.findBlocks(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := src.SHA256()
	if err != nil {
		return nil, err
	}
	out := &Outcome{Model: src.facts(blocks, hash), Plan: plan}
	q := WriteRequest{Blocks: blocks}
	if plan != nil {
		q.Removed, q.Provenance, err = j.fromPlan(src, plan, blocks, out)
	} else {
		q.Removed, q.Provenance, err = j.fromMask(blocks, hash)
	}
	if err != nil {
		return nil, err
	}
	out.Removed = q.Removed
	err = j.write(ctx, src, q, out, rep)
	return out, err
}

// findBlocks returns the blocks that llama.cpp's graph of the model has.
func (s *Source) findBlocks(ctx context.Context) ([]layout.Block, error) {
	session, err := s.Session(ctx, 1, sessionTokens)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return LayoutBlocks(session), nil
}

func plainBlocks(blocks []layout.Block) []blockmask.Block {
	out := make([]blockmask.Block, len(blocks))
	for i, b := range blocks {
		out[i] = b.Block
	}
	return out
}

// fromPlan takes as many steps of the plan as the job's goal needs.
func (j Job) fromPlan(src *Source, plan *search.Plan, blocks []layout.Block, out *Outcome) (blockmask.Mask, layout.Provenance, error) {
	if err := plan.CheckModel(out.Model.SHA256, plainBlocks(blocks)); err != nil {
		return nil, layout.Provenance{}, err
	}
	k, err := plannedSteps(plan, j.Goal, func(m blockmask.Mask) (int64, error) {
		return layout.Size(layout.Request{
			Source: src.File, Blocks: blocks, Removed: m, Kind: j.Layout, Provenance: provenance(plan, stepsOf(plan, m)),
		})
	})
	if err != nil {
		return nil, layout.Provenance{}, err
	}
	if k == 0 {
		return nil, layout.Provenance{}, errors.New("the plan removes nothing; search again with a larger goal")
	}
	out.Steps = plan.Steps[:k]
	return plan.Mask(k), provenance(plan, k), nil
}

// stepsOf returns how many steps of plan remove m.
func stepsOf(plan *search.Plan, m blockmask.Mask) int {
	k := 0
	for k < len(plan.Steps) && len(plan.Removed(k)) < m.Len() {
		k++
	}
	return k
}

// fromMask takes the job's mask.
func (j Job) fromMask(blocks []layout.Block, hash string) (blockmask.Mask, layout.Provenance, error) {
	if j.Mask.Len() == 0 {
		return nil, layout.Provenance{}, errors.New("the mask is empty; name blocks to remove, such as attn:3,ffn:7-9")
	}
	if err := j.Mask.Check(plainBlocks(blocks)); err != nil {
		return nil, layout.Provenance{}, err
	}
	return j.Mask, layout.Provenance{SourceSHA256: hash, Tool: j.Tool, LlamaCpp: llamabind.Version(), Removed: j.Mask}, nil
}
