package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/ggufprune/ggufprune/blockmask"
	"github.com/ggufprune/ggufprune/fit"
	"github.com/ggufprune/ggufprune/gguf"
	"github.com/ggufprune/ggufprune/internal/repairlog"
	"github.com/ggufprune/ggufprune/layout"
	"github.com/ggufprune/ggufprune/llamabind"
	"github.com/ggufprune/ggufprune/perplexity"
	"github.com/ggufprune/ggufprune/search"
	"github.com/ggufprune/ggufprune/search/plan"
)

// Job is what prune, search and apply are asked to do.
type Job struct {
	Runtime Runtime
	Text    Text
	Unit    blockmask.Unit
	Goal    search.Goal // for apply: how much of the plan; all of it if zero
	Layout  layout.Kind
	Tool    string // version of this program

	Method      Method
	Calibration Calibration
	Repair      Repair

	Plan    string         // where prune and search save the plan, and apply finds it; "" is none
	Mask    blockmask.Mask // what apply removes without a plan
	MaskOf  string         // a file that this program pruned: apply removes what it lacks, in its layout
	Output  string         // "" is the name that the GGUF convention gives
	Force   bool
	NoCheck bool
	Ollama  string // the name under which a running Ollama gets the file; "" for none

	Quantize Quantization // of the written file
	quant    *quantizer   // the same, held against the source
	searched bool         // this run has searched for what is written

	Compare *CompareJob // what prune compares at its end, without the models; nil is nothing
}

// Outcome is what a job did.
type Outcome struct {
	Model   ModelFacts
	Plan    *plan.Plan // nil when a mask was applied
	Steps   []search.Step
	Removed blockmask.Mask
	Write   *WriteResult         // nil for search
	Repair  *fit.Result          // nil: none was asked for, or nothing could be repaired
	Raised  map[string]gguf.Type // of repaired tensors in another type than the source's, by their names there
	Publish *Publication         // what was made for Ollama of the file; nil if nothing

	Comparison *Comparison    // nil where nothing was compared
	Report     *WrittenReport // nil without one
}

// HeldOut is how the file does on text that the search has not seen; nil where nobody looked, or the file has fewer steps than the
// plan that was looked at.
func (o *Outcome) HeldOut() *plan.HeldOut {
	if o.Plan == nil || len(o.Steps) < len(o.Plan.Steps) {
		return nil
	}
	return o.Plan.HeldOut
}

// ModelFacts describe the source.
type ModelFacts struct {
	Ref                string // the name that led to Path; "" where a path was given
	Path, Arch, SHA256 string
	Bytes              int64
	Params             uint64
	Layers, Blocks     int
}

// Prune searches, writes and checks.
func Prune(ctx context.Context, j Job, rep Reporter) (*Outcome, error) {
	return j.searchThen(ctx, rep, true)
}

// Search only searches.
func Search(ctx context.Context, j Job, rep Reporter) (*Outcome, error) {
	return j.searchThen(ctx, rep, false)
}

func (j Job) searchThen(ctx context.Context, rep Reporter, write bool) (*Outcome, error) {
	if err := j.checkOutputs(write); err != nil {
		return nil, err
	}
	if err := j.checkOllama(ctx); err != nil {
		return nil, err
	}
	corpus, err := j.Calibration.read(j.Text)
	if err != nil {
		return nil, err
	}
	src, err := Open(ctx, j.Runtime)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if err := j.Repair.checkType(src.File); err != nil {
		return nil, err
	}
	if j.quant, err = j.Quantize.prepare(ctx, src.File, src.Model.Info().NLayer); err != nil {
		return nil, err
	}
	j.Text.Context = defaultContext(j.Text.Context, src.Model.Info())
	out, blocks, err := j.search(ctx, src, corpus, rep)
	if err != nil || !write {
		return out, err
	}
	j.searched = true
	err = j.write(ctx, src, WriteRequest{
		Blocks: blocks, Removed: out.Removed, Provenance: provenance(out.Plan, len(out.Plan.Steps)), Unique: true,
	}, out, rep)
	if err != nil {
		return nil, err
	}
	return out, j.compare(ctx, out, rep)
}

// checkOutputs finds out whether what the job will write can be written, before the work. inputs are files that it reads besides the
// model and the text: nothing that is read is ever overwritten, with --force either.
func (j Job) checkOutputs(write bool, inputs ...string) error {
	inputs = append(inputs, j.Runtime.Path)
	if j.Text.File != "" {
		inputs = append(inputs, j.Text.File)
	}
	if j.Quantize.IMatrix != "" {
		inputs = append(inputs, j.Quantize.IMatrix)
	}
	if write && j.Output != "" {
		if err := CheckOutput(j.Output, j.Force, inputs...); err != nil {
			return err
		}
		if err := j.checkModelfile(inputs...); err != nil {
			return err
		}
		if j.Repair.wanted() {
			if err := repairlog.Check(j.Output); err != nil {
				return err
			}
		}
	} else if write {
		if err := checkFolder("."); err != nil {
			return err
		}
	}
	if err := j.Quantize.checkOutputs(j.Force, []string{j.Output, j.Plan}, inputs); err != nil {
		return err
	}
	if j.Plan == "" {
		return nil
	}
	if write && samePath(j.Plan, j.Output) {
		return fmt.Errorf("the plan and the output are the same file, %s; give them different names", j.Plan)
	}
	begun, err := checkJournal(journalPath(j.Plan), inputs)
	if err != nil {
		return err
	}
	// A plan with a journal beside it is what an interrupted run saved: the search goes on, and writes it again. A journal of
	// another search is an error before that.
	if err := CheckOutput(j.Plan, j.Force || begun, inputs...); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// search makes and saves the plan. When the search is cut short, the plan so far is saved too.
func (j Job) search(ctx context.Context, src *Source, corpus *perplexity.Corpus, rep Reporter) (*Outcome, []layout.Block, error) {
	if j.Calibration.Self && j.Text.Max == 0 {
		j.Text.Max = selfDocuments
	}
	calib, err := j.prepare(ctx, src, corpus, rep)
	if err != nil {
		return nil, nil, err
	}
	set := calib.set
	nSeq, seqLen := j.Text.shape(set.Longest())
	session, err := src.Session(ctx, nSeq, seqLen)
	if err != nil {
		return nil, nil, err
	}
	defer session.Close()
	src.StartHash()
	journal, err := src.openJournal(j, set, rep)
	if err != nil {
		return nil, nil, err
	}
	defer journal.Close() //nolint:errcheck // every step was synced
	blocks := LayoutBlocks(session)
	rep.Notef("%s: %s, %d layers, %d blocks; %s", j.Runtime.Path, src.File.Arch(), src.Model.Info().NLayer, len(blocks), set.Describe())
	found, searchErr := src.Search(ctx, session, set, SearchRequest{
		Blocks: blocks, Unit: j.Unit, Goal: j.Goal, Layout: j.Layout, Provenance: layout.Provenance{
			Metric: j.Method.Metric.String() + " " + string(set.Convention), Calibration: set.Describe(), Tool: j.Tool, LlamaCpp: llamabind.LlamaTag,
		},
		Method: j.Method, Repair: j.Repair, Text: j.Text, Journal: journal,
	}, rep)
	res := found.Result
	var goal *search.GoalError
	if res == nil && len(journal.Records()) == 0 && !errors.Is(searchErr, context.Canceled) || errors.As(searchErr, &goal) {
		// The goal or the layout cannot be. A journal would only be in the way.
		searchErr = errors.Join(searchErr, journal.Remove())
	}
	if searchErr != nil && (res == nil || len(res.Steps) == 0 || j.Plan == "") {
		return nil, nil, searchErr
	}
	var held *plan.HeldOut
	if searchErr == nil && len(res.Steps) > 0 {
		held, searchErr = calib.judge(ctx, session, res.Removed(), found.Used, rep)
	}
	plan, err := src.newPlan(j, calib, blocks, found)
	if err == nil {
		plan.HeldOut = held
		err = savePlan(j, plan)
	}
	if searchErr != nil {
		if err == nil {
			rep.Notef("the plan so far, %d steps, is saved in %s; the same command goes on from there", len(res.Steps), j.Plan)
		}
		return nil, nil, errors.Join(searchErr, err)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := journal.Remove(); err != nil {
		rep.Warnf("the journal of the finished search could not be removed: %v", err)
	}
	out := &Outcome{Model: src.facts(blocks, plan.Model.SHA256), Plan: plan, Steps: plan.Steps, Removed: res.Removed()}
	return out, blocks, nil
}

// facts describes the source.
func (s *Source) facts(blocks []layout.Block, hash string) ModelFacts {
	return ModelFacts{
		Ref: s.Runtime.given(), Path: s.Runtime.Path, Arch: s.File.Arch(), SHA256: hash, Bytes: s.File.Bytes(), Params: s.File.Params(),
		Layers: s.Model.Info().NLayer, Blocks: len(blocks),
	}
}

// write writes and checks what q, completed by the job, asks for.
func (j Job) write(ctx context.Context, src *Source, q WriteRequest, out *Outcome, rep Reporter) error {
	evaluation, err := j.Text.ReadEvaluation()
	if err != nil {
		return err
	}
	q.Layout, q.Output, q.Force, q.NoCheck, q.Text, q.Evaluation = j.Layout, j.Output, j.Force, j.NoCheck, j.Text, evaluation
	var log *repairlog.Log
	if out.Repair, log, err = j.repair(ctx, src, &q, rep); err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // nothing to close once it is removed; else the first error counts
	out.Raised, q.quantizer = src.types, j.quant
	if out.Write, err = src.Write(ctx, q, rep); err != nil {
		return err
	}
	if err := log.Remove(); err != nil {
		rep.Warnf("what was kept of the finished repair could not be removed: %v", err)
	}
	out.Publish = j.publish(ctx, out.Write, rep)
	return nil
}
