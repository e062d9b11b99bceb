package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/internal/planfile"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// sessionTokens is the batch of a context that is opened only to find the model's blocks.
const sessionTokens = 32

// Apply writes and checks what a plan or a mask removes.
func Apply(ctx context.Context, j Job, rep Reporter) (*Outcome, error) {
	a, err := openApply(ctx, j, rep, true)
	if err != nil {
		return nil, err
	}
	defer a.src.Close()
	out := &Outcome{Model: a.src.facts(a.blocks, a.hash), Plan: a.plan}
	q := WriteRequest{Blocks: a.blocks}
	if a.plan != nil {
		k := a.step
		if k == 0 {
			if k, err = a.steps(a.job.Goal); err != nil {
				return nil, err
			}
		}
		out.Steps, q.Removed, q.Provenance = a.plan.Steps[:k], a.plan.Mask(k), provenance(a.plan, k)
	} else if q.Removed, q.Provenance, err = a.job.fromMask(a.blocks, a.hash); err != nil {
		return nil, err
	}
	out.Removed = q.Removed
	err = a.job.write(ctx, a.src, q, out, rep)
	return out, err
}

var errNothing = errors.New("the plan removes nothing; search again with a larger goal")

// application is a plan or a mask with the model that it is for.
type application struct {
	job    Job
	rep    Reporter
	read   string     // the plan's file
	plan   *plan.Plan // nil for a mask
	step   int        // of the plan, after which it is the mask of the job's pruned file; 0 is not known
	src    *Source
	blocks []layout.Block
	hash   string
}

// openApply opens what the job names, and finds out what is wrong with it; oneFile says that j.Output is a file.
func openApply(ctx context.Context, j Job, rep Reporter, oneFile bool) (*application, error) {
	a := &application{job: j, rep: rep, read: j.Plan}
	var err error
	if j.Plan != "" {
		if a.plan, err = planfile.Read(j.Plan); err != nil {
			return nil, err
		}
		a.job.Plan = ""
	}
	var read []string
	for _, file := range []string{j.Plan, j.MaskOf} {
		if file != "" {
			read = append(read, file)
		}
	}
	if oneFile {
		err = a.job.checkOutputs(true, read...)
	} else {
		err = checkFolder(cmp.Or(j.Output, "."))
	}
	if err != nil {
		return nil, err
	}
	if _, err := j.Text.ReadEvaluation(); err != nil {
		return nil, err
	}
	if err := j.checkOllama(ctx); err != nil {
		return nil, err
	}
	if a.src, err = Open(ctx, j.Runtime); err != nil {
		return nil, err
	}
	if err = j.Repair.checkType(a.src.File); err == nil {
		a.job.quant, err = j.Quantize.prepare(ctx, a.src.File, a.src.Model.Info().NLayer)
	}
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

// noteText says what a repair would better be fitted on: the text that the plan's search was given, which the plan only names.
func (a *application) noteText() {
	if a.plan == nil || a.plan.Calibration.Self != nil || !a.job.Repair.wanted() || a.job.Text.File != "" || len(a.job.Repair.Files) > 0 {
		return
	}
	if made := a.plan.Calibration.Description; !strings.HasPrefix(made, builtIn) {
		a.rep.Notef("the repair has the built-in text only; give what the plan was made with too (-f): %s", made)
	}
}

// identify finds the model's blocks and makes sure that the plan is for them.
func (a *application) identify(ctx context.Context) (err error) {
	a.job.Text.Context = defaultContext(a.job.Text.Context, a.src.Model.Info())
	if a.blocks, err = a.src.findBlocks(ctx); err != nil {
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
	if a.plan == nil {
		return nil
	}
	if err := a.plan.CheckModel(a.hash, plainBlocks(a.blocks)); err != nil || a.job.MaskOf == "" {
		return err
	}
	for k := range a.plan.Steps {
		if a.plan.Mask(k + 1).Equal(a.job.Mask) {
			a.step = k + 1
			return nil
		}
	}
	return fmt.Errorf("%s lacks %s, which is no step of the plan %s; give the plan that it was made from, or none", a.job.MaskOf, a.job.Mask, a.read)
}

// readMask takes mask and layout from the file that the job names, which must have been made from the same model.
func (a *application) readMask() error {
	path := a.job.MaskOf
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	mask, source := text(f, "ggufprune.mask"), text(f, "ggufprune.source.sha256")
	if mask == "" {
		return fmt.Errorf("%s was not pruned by this program; give a file that prune or apply wrote", path)
	}
	if source != a.hash {
		return fmt.Errorf("%s was made from another model (SHA-256 %.12s...) than %s (%.12s...); give the model that it was pruned from",
			path, source, a.job.Runtime.Path, a.hash)
	}
	if a.job.Mask, err = blockmask.Parse(mask); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	a.job.Layout, err = layout.ParseKind(text(f, "ggufprune.layout"))
	return err
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

// steps returns how many steps of the plan goal needs.
func (a *application) steps(goal search.Goal) (int, error) {
	k, err := plannedSteps(a.plan, goal, func(m blockmask.Mask) (int64, error) {
		p := provenance(a.plan, stepsOf(a.plan, m))
		p.Repair = a.src.expectedRepair(a.job.Repair, a.job.Text, a.blocks, m)
		return layout.Size(layout.Request{Source: a.src.File, Blocks: a.blocks, Removed: m, Kind: a.job.Layout, Provenance: p})
	})
	if err == nil && k == 0 {
		err = errNothing
	}
	if err == nil && (goal.MaxPPLRatio > 0 || goal.MaxKLD > 0) && a.plan.Steps[k-1].Sequences() > 0 {
		a.rep.Warnf("step %d's score in the plan is an estimate: the file may be outside the bound; ggufprune ppl measures it", k)
	}
	return k, err
}

// stepsOf returns how many steps of plan remove m.
func stepsOf(plan *plan.Plan, m blockmask.Mask) int {
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
	return j.Mask, layout.Provenance{SourceSHA256: hash, Tool: j.Tool, LlamaCpp: llamabind.LlamaTag, Removed: j.Mask}, nil
}
